"""The recipes of `docs/extending.md` work as the page shows them, applied to a copy, both ways."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from graph.database.engine import Database
from graph.database.revisions import head_revision
from tests.conftest import administer, settings_for
from tests.docs.pages import RECIPES, ROOT, Example, as_shown, rows
from tests.docs.recipes import apply, copy_package, recipes
from tests.store.test_migrations import dumped

if TYPE_CHECKING:
    from graph.database.embedded import Cluster

FOUND = recipes(RECIPES)
EXAMPLES = [step for recipe in FOUND for step in recipe.steps if isinstance(step, Example)]
# A query of a Python resolver, and the same with a computed column in its place.
RESOLVED = [
    step.block.text
    for recipe in FOUND
    for step in recipe.steps
    if isinstance(step, Example) and recipe.title == "A Python resolver"
]


@pytest.fixture(scope="module")
def outcome(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process finds that runs all examples on the copy, in the order of the page."""
    folder = tmp_path_factory.mktemp("extended")
    copy_package(folder)
    for recipe in FOUND:
        for block in recipe.changes:
            apply(block, folder)
    names = {way: f"extended_{way}" for way in ("compiled", "resolvers")}
    for name in (*names.values(), "extended_models", "extended_effects"):
        asyncio.run(administer(cluster, f"CREATE DATABASE {name}"))
    steps = [
        {"query": step.block.text, "variables": step.variables}
        if isinstance(step, Example)
        else {"sql": step.text}
        for recipe in FOUND
        for step in recipe.steps
    ]
    task = {
        "urls": {way: cluster.url(name) for way, name in names.items()},
        "models_url": cluster.url("extended_models"),
        "effects_url": cluster.url("extended_effects"),
        "before": head_revision(),
        "steps": steps,
        "timed": [query.replace("first: 1)", "first: 20)") for query in RESOLVED],
    }
    process = subprocess.run(
        [sys.executable, "-m", "tests.docs.extended"],
        check=False,  # its errors are shown
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


@pytest.mark.parametrize("nth", range(len(EXAMPLES)), ids=lambda nth: str(EXAMPLES[nth]))
def test_an_example_answers_as_the_page_shows_both_ways(outcome: dict[str, Any], nth: int) -> None:
    compiled, resolved = (outcome[way][nth] for way in ("compiled", "resolvers"))

    assert "errors" not in compiled["answer"]
    assert compiled["answer"] == resolved["answer"]
    assert as_shown(compiled["answer"], EXAMPLES[nth].answer) == EXAMPLES[nth].answer


def test_the_migrations_make_the_tables_of_the_models(
    cluster: Cluster, outcome: dict[str, Any]
) -> None:
    assert outcome
    migrated, created = (
        dumped(cluster, Database.connect(settings_for(cluster.url(name))))
        for name in ("extended_compiled", "extended_models")
    )

    assert "CREATE TABLE public.reviews" in migrated
    assert migrated == created


def test_the_migrations_are_declared_as_they_are_and_stop_nobody(outcome: dict[str, Any]) -> None:
    assert outcome["faults"] == []


def test_each_recipe_has_an_example() -> None:
    assert [recipe.title for recipe in FOUND if recipe.changes and not recipe.steps] == []


def test_the_first_migration_follows_the_newest_of_the_store() -> None:
    (first, *_) = (
        block.text for recipe in FOUND for block in recipe.changes if "/versions/" in block.note
    )

    assert f'down_revision = "{head_revision()}"' in first


def test_the_sizes_of_the_recipes_are_those_of_the_page() -> None:
    sizes = [
        [
            recipe.title,
            str(len(recipe.files)),
            str(recipe.lines),
            "yes" if recipe.has_migration else "no",
        ]
        for recipe in FOUND
        if recipe.changes
    ]

    assert rows(RECIPES, "Extending the store") == sizes


def test_a_column_costs_two_files_to_read_and_two_more_to_write() -> None:
    read, write = (
        recipe
        for recipe in FOUND
        if recipe.title.startswith("A column that") and "search" not in recipe.title
    )

    assert len(read.files) <= 2
    assert len(read.files | write.files) <= 4


def test_a_resolver_without_needs_costs_a_statement_per_level(
    outcome: dict[str, Any],
) -> None:
    filled, resolved, computed = (
        outcome["compiled"][nth]["statements"]
        for nth, example in enumerate(EXAMPLES)
        if example.block.text in RESOLVED
    )

    assert (filled, resolved, computed) == (1, 4, 1)
    times = outcome["milliseconds"]
    print("{:.1f} ms with needs, {:.1f} ms with a method, {:.1f} ms without".format(*times))  # noqa: T201
