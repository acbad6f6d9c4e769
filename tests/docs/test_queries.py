"""Every operation in the documentation runs, and answers what the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.app import create_app
from graph.store.access import ROLES
from tests.conftest import client_of, recorded, settings_for
from tests.docs.asking import NOBODY, asked, sign_in_settings
from tests.docs.pages import TRIED, as_shown, examples

if TYPE_CHECKING:
    from tests.docs.pages import Example

EXAMPLES = [example for page in TRIED for example in examples(page)]
READING = [example for example in EXAMPLES if not example.is_mutation]
WRITING = [example for example in EXAMPLES if example.is_mutation]


def test_there_are_examples_of_each_kind() -> None:
    assert len(READING) > 15
    assert len(WRITING) > 5
    assert any(example.is_refused for example in EXAMPLES)
    assert any(example.parts for example in EXAMPLES)
    assert any(example.variables for example in EXAMPLES)
    assert {example.role.split(" ")[0] for example in EXAMPLES} >= {*ROLES, NOBODY} - {"anonymous"}
    assert any(example.sql for example in EXAMPLES)
    assert any(example.block.language == "console" for example in EXAMPLES)


@pytest.mark.parametrize("example", READING, ids=str)
async def test_a_query_answers_as_the_page_shows(demo_url: str, example: Example) -> None:
    await check(demo_url, example)


@pytest.mark.parametrize("example", WRITING, ids=str)
async def test_a_mutation_answers_as_the_page_shows(own_demo_url: str, example: Example) -> None:
    # Without it nobody would see that a mutation is refused: that is no error.
    assert example.answer, "show the answer"

    await check(own_demo_url, example)


async def check(url: str, example: Example) -> None:
    settings = settings_for(url, **sign_in_settings(example))
    async with client_of(create_app(settings)) as client:
        with recorded(client.database) as statements:
            answer = await asked(client, example)

    shown = example.parts or example.answer
    if shown is None:
        assert "errors" not in answer, answer
        assert answer["data"]
    else:
        assert as_shown(answer, shown) == shown
    if example.sql:
        assert [without_space(text) for text in statements.texts] == [without_space(example.sql)]


def without_space(sql: str) -> str:
    return "".join(sql.split())
