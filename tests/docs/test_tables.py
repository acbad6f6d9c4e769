"""The tables of the documentation say what the code says: settings, codes, limits, mutations."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, get_args

import pytest

from graph import errors
from graph.errors import GraphError
from graph.settings import SECRETS, Profile, Settings
from graph.store.access import DESCRIPTIONS
from tests.docs.pages import PAGES, ROOT, rows
from tests.mutations import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

API = ROOT / "docs" / "api.md"
OPERATIONS = ROOT / "docs" / "operations.md"
FIELDS = Settings.model_fields
UNITS = ("seconds", "bytes", "hours")
TABLES_OF_SETTINGS = (
    "Server",
    "Database",
    "Time and load of requests",
    "Subscriptions",
    "Size of requests and answers",
    "Documents",
    "Cost",
    "Mutations",
    "Retention",
    "Sending webhooks",
    "Who signs in",
    "What others can see",
)
SETTINGS = {row[0]: row for heading in TABLES_OF_SETTINGS for row in rows(OPERATIONS, heading)}
# Names that begin like settings, and belong to the tests or to examples of clients.
OTHERS = {
    "GRAPH_MIGRATION_EVENTS",
    "GRAPH_MIGRATION_LINES",
    "GRAPH_PROVE_ROUNDS",
    "GRAPH_TEST_EXAMPLES",
    "GRAPH_UPGRADE_LINES",
    "GRAPH_URL",
}


# Settings


def test_every_setting_is_in_a_table_and_no_other() -> None:
    assert set(SETTINGS) == {f"`{variable(name)}`" for name in FIELDS}


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = {variable(name) for name in FIELDS} | OTHERS
    known |= {f"{variable(name)}_FILE" for name in SECRETS}
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            named = set(re.findall(r"\bGRAPH_[A-Z_]*[A-Z]\b", page.read_text("utf-8")))
            assert named - known == set(), page


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_has_the_default_that_the_table_says(name: str) -> None:
    _, shown, _, _ = SETTINGS[f"`{variable(name)}`"]

    assert shown == default_of(FIELDS[name].default)


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_takes_the_values_that_the_table_says(name: str) -> None:
    _, _, shown, _ = SETTINGS[f"`{variable(name)}`"]
    type_, metadata = FIELDS[name].annotation, FIELDS[name].metadata
    bounds = [getattr(each, way) for way in ("ge", "le") for each in metadata if hasattr(each, way)]

    if isinstance(type_, type) and issubclass(type_, StrEnum):
        assert shown == ", ".join(f"`{value}`" for value in type_)
    elif type_ is bool:
        assert shown == "`true`, `false`"
    elif {int, float} & {type_, *get_args(type_)}:
        numbers = [float(text.replace(",", "")) for text in re.findall(r"\d[\d,.]*", shown)]
        assert numbers == bounds
        assert ("or more" in shown) == (len(bounds) == 1)
        assert [unit for unit in UNITS if name.endswith(f"_{unit}")] == [
            unit for unit in UNITS if shown.startswith(f"{unit},")
        ]


def test_production_changes_the_defaults_that_the_table_says() -> None:
    changed = {
        f"`{variable(name)}`": default_of(value)
        for name, value in Settings(profile=Profile.PRODUCTION)
        if value != FIELDS[name].default and name != "profile"
    }

    assert dict(rows(OPERATIONS, "The production profile")) == changed


def variable(name: str) -> str:
    return f"GRAPH_{name.upper()}"


def default_of(value: Any) -> str:
    """A default as the table writes it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value)
    return f"`{str(value).lower()}`"


# Codes


def test_every_code_is_in_a_table_with_its_status() -> None:
    shown = {row[0]: int(row[1]) for row in rows(API, "Errors")}
    ours = {
        f"`{error.code}`": error.status for error in errors_with_codes() if hasattr(error, "status")
    }
    # The language's own, and a defect (`graph.errors` names them).
    others = {
        "`GRAPHQL_PARSE_FAILED`": 400,
        "`GRAPHQL_VALIDATION_FAILED`": 400,
        "`OPERATION_RESOLUTION_FAILURE`": 400,
        "`BAD_USER_INPUT`": 400,
        "`INTERNAL_SERVER_ERROR`": 500,
    }

    assert shown == ours | others


def test_every_error_of_mutations_is_in_a_table_with_its_type() -> None:
    shown = {row[0]: row[1] for row in rows(API, "Codes of the errors of mutations")}

    assert shown == {
        f"`{error.code}`": f"`{error.__name__}`"
        for error in errors_with_codes()
        if not hasattr(error, "status") and error.__name__ in SCHEMA.type_map
    }


def test_every_mutation_is_in_the_table_and_no_other() -> None:
    assert SCHEMA.mutation_type
    named = [row[0] for row in rows(API, "Mutations")]

    assert names_in(named) == set(SCHEMA.mutation_type.fields)


def test_every_permission_is_in_the_table_with_what_it_allows() -> None:
    shown = {row[0].strip("`"): row[1] for row in rows(API, "Permissions")}

    assert shown == {
        permission: about[0].lower() + about[1:-1] for permission, about in DESCRIPTIONS.items()
    }


def test_every_condition_is_in_the_table_and_no_other() -> None:
    """Of filters of columns: those of rows have the names of fields."""
    filters: list[Any] = [
        SCHEMA.type_map[name] for name in SCHEMA.type_map if name.endswith("Filter")
    ]
    conditions = {name for filter_ in filters for name in filter_.fields}
    shown = [row[1] for row in rows(API, "Filters")]

    assert conditions
    assert conditions <= names_in(shown)


def errors_with_codes(error: type[GraphError] = GraphError) -> Iterator[Any]:
    """All classes of errors that have a code, the tree from its root."""
    for each in error.__subclasses__():
        if hasattr(each, "code") and each.__module__.startswith(errors.__name__):
            yield each
        yield from errors_with_codes(each)


def names_in(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
