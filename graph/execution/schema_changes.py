"""The changes between two schemas, by graphql-core's own comparison.

That one does not see an input type become `@oneOf`, or cease to be; it is added here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from graphql import (
    BreakingChange,
    DangerousChange,
    GraphQLError,
    GraphQLInputObjectType,
    build_schema,
    find_schema_changes,
    validate_schema,
)

from graph.errors import InvalidSchemaFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import GraphQLSchema, SchemaChange

_STANDARD_INPUT = Path("-")


class Severity(StrEnum):
    """What a change may do to the clients of the old schema."""

    BREAKING = "breaking"
    DANGEROUS = "dangerous"
    SAFE = "safe"


@dataclass(frozen=True, slots=True)
class Change:
    severity: Severity
    description: str


def changes_since(old: Path, new: str) -> list[Change]:
    """The changes from a file of SDL to a text of SDL.

    Raises:
        InvalidSchemaFile: as of `read_schema`.
    """
    return changes_between(read_schema(old), schema_of(new))


def changes_between(before: GraphQLSchema, after: GraphQLSchema) -> list[Change]:
    """The changes from one schema to another, in the order of their descriptions."""
    changes = find_schema_changes(before, after)
    found = [Change(_severity(change), _line(change)) for change in changes]
    return sorted([*found, *_one_of(before, after)], key=lambda change: change.description)


def report(changes: Sequence[Change]) -> Iterator[str]:
    """The changes as lines, the worst first."""
    for severity in Severity:
        found = [change.description for change in changes if change.severity is severity]
        yield f"{severity.capitalize()}: {len(found):,}"
        yield from (f"  {description}" for description in found)


def schema_of(text: str) -> GraphQLSchema:
    """The schema that a text of SDL declares."""
    return build_schema(text)


def read_schema(file: Path) -> GraphQLSchema:
    """The schema in a file of SDL, or in the standard input as `-`.

    Raises:
        InvalidSchemaFile: the file cannot be read, or is not a schema.
    """
    name = "the standard input" if file == _STANDARD_INPUT else str(file)
    try:
        text = sys.stdin.buffer.read() if file == _STANDARD_INPUT else file.read_bytes()
        schema = build_schema(text.decode("utf-8-sig"))
        problem = next(iter(validate_schema(schema)), None)
    except OSError as error:
        raise InvalidSchemaFile(name, error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise InvalidSchemaFile(name, "it is not UTF-8 text") from None
    except (GraphQLError, TypeError) as error:
        raise InvalidSchemaFile(name, _first_line(error)) from None
    if problem is not None:
        raise InvalidSchemaFile(name, _first_line(problem))
    return schema


def _first_line(error: Exception) -> str:
    """The first of the problems, with its position where the file has one."""
    message = error.message if isinstance(error, GraphQLError) else str(error)
    line = message.splitlines()[0].rstrip(".?")
    places = error.locations if isinstance(error, GraphQLError) else None
    return f"{line} ({places[0].line}:{places[0].column})" if places else line


def _severity(change: SchemaChange) -> Severity:
    match change:
        case BreakingChange():
            return Severity.BREAKING
        case DangerousChange():
            return Severity.DANGEROUS
    return Severity.SAFE


def _line(change: SchemaChange) -> str:
    """The description as one line: a new description of a type or field may have several."""
    return " ".join(change.description.split())


def _one_of(before: GraphQLSchema, after: GraphQLSchema) -> Iterator[Change]:
    for name, old in before.type_map.items():
        new = after.type_map.get(name)
        if isinstance(old, GraphQLInputObjectType) and isinstance(new, GraphQLInputObjectType):
            if new.is_one_of and not old.is_one_of:
                yield Change(Severity.BREAKING, f"{name} became @oneOf.")
            elif old.is_one_of and not new.is_one_of:
                yield Change(Severity.SAFE, f"{name} is no longer @oneOf.")
