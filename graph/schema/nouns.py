"""What a noun's type declares: its columns and edges, of which filters and sorts speak."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition

from graph.database import edges
from graph.schema.fields import Meaning, meaning_of
from graph.schema.scalars import Json
from graph.schema.types import NOUNS

if TYPE_CHECKING:
    from strawberry.types.field import StrawberryField


@dataclass(frozen=True)
class ColumnField:
    """`name` is the column's in Python, `type` that of its values."""

    name: str
    type: Any
    description: str


@dataclass(frozen=True)
class EdgeField:
    """`name` is the relationship's in Python, `noun` what it leads to."""

    name: str
    noun: str
    description: str


@dataclass(frozen=True)
class Noun:
    """Fields by their names in GraphQL."""

    name: str
    columns: dict[str, ColumnField] = field(default_factory=dict)
    to_one: dict[str, EdgeField] = field(default_factory=dict)
    to_many: dict[str, EdgeField] = field(default_factory=dict)


@cache
def noun_of(name: str) -> Noun:
    noun, convert = Noun(name), NameConverter()
    definition: Any = NOUNS[name]
    for declared in definition.__strawberry_definition__.fields:
        graphql_name = convert.get_graphql_name(declared)
        match meaning_of(declared):
            case Meaning.COLUMN if declared.type is not Json:  # JSON has no order
                noun.columns[graphql_name] = _column(declared)
            case Meaning.EDGE:
                noun.to_one[graphql_name] = _edge(declared, declared.type.__name__)
            case Meaning.CONNECTION:
                noun.to_many[graphql_name] = _edge(declared, declared.metadata["noun"])
    return noun


def _column(declared: StrawberryField) -> ColumnField:
    type_: Any = declared.type
    if isinstance(type_, StrawberryOptional):
        type_ = type_.of_type
    if isinstance(type_, StrawberryEnumDefinition):
        type_ = type_.wrapped_cls
    return ColumnField(declared.python_name, type_, declared.description or "")


def _edge(declared: StrawberryField, noun: str) -> EdgeField:
    return EdgeField(declared.python_name, noun, declared.description or "")


@cache
def _keys(noun: str) -> set[str]:
    """The columns that only say which row it is, or which row an edge leads to."""
    sources = {edges.edge(noun, each.name).source_column for each in noun_of(noun).to_one.values()}
    return {"id", *(name for name in sources if name)}


def ordered_of(noun: Noun) -> dict[str, ColumnField]:
    """The columns whose values have a least and a most."""
    return {name: column for name, column in noun.columns.items() if column.type is not bool}


def numbers_of(noun: Noun) -> dict[str, ColumnField]:
    """The columns that it makes sense to add up."""
    return {
        name: column
        for name, column in noun.columns.items()
        if column.type in {int, Decimal} and column.name not in _keys(noun.name)
    }
