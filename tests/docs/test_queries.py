"""Every operation in the documentation runs, and answers what the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.asking import asked
from tests.docs.pages import PAGES, as_shown, examples

if TYPE_CHECKING:
    from tests.conftest import Client
    from tests.docs.pages import Example

EXAMPLES = [example for page in PAGES for example in examples(page)]


def test_there_are_examples_of_each_kind() -> None:
    assert len(EXAMPLES) > 20
    assert any(example.is_mutation for example in EXAMPLES)
    assert any(example.is_refused for example in EXAMPLES)
    assert any(example.parts for example in EXAMPLES)
    assert any(example.variables for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_it_answers_as_the_page_shows(client: Client, example: Example) -> None:
    answer = await asked(client, example)

    shown = example.parts or example.answer
    if shown is None:
        # Of a mutation, an answer without errors may still be a refusal.
        assert not example.is_mutation, "show the answer"
        assert "errors" not in answer, answer
        assert answer["data"]
    else:
        assert as_shown(answer, shown) == shown
