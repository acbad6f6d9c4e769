"""The JSON text of values of a whole list: counts, aggregates, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer

from graph.database.reads.expressions import scalar_of
from graph.database.reads.lists import limit_part, row_list
from graph.database.reads.sql_fragments import (
    Json,
    SqlText,
    concatenated,
    json_of,
    object_of,
    typename_of,
)
from graph.selection import Column, TermOf, Terms, grouped, terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Select

    from graph.database.reads.lists import ListParts
    from graph.database.reads.parts import Place
    from graph.selection import (
        Aggregates,
        Condition,
        CountUpTo,
        GroupingShape,
        Groups,
        Relationship,
        Term,
    )


def count_up_to(selected: CountUpTo, rows: ListParts, alias: str) -> SqlText:
    """`{"value": ..., "precision": ...}`: the count, or the limit if the list is longer."""
    limit = limit_part(selected.argument_index)
    texts: dict[str, Any] = {
        "value": (f"least({alias}.total,", limit, ")"),
        "precision": (
            *(f"CASE WHEN {alias}.total>", limit),
            """ THEN '"AT_LEAST"' ELSE '"EXACT"' END""",
        ),
    }
    text = object_of(
        (
            field.response_key,
            [texts[field.name]] if isinstance(field, Column) else typename_of(field),
        )
        for field in selected.fields
    )
    counted = rows.part(_counted, own=selected.argument_index)
    return [("(SELECT ", *concatenated(text), " FROM (", counted, f") {alias})")]


def aggregates(selected: Aggregates, rows: ListParts, alias: str) -> SqlText:
    terms = terms_of(selected.fields)
    text = _object(selected.fields, _Values(rows.entity, terms, alias).json)
    found = rows.part(_aggregates, terms)
    return [("(SELECT ", *concatenated(text), " FROM (", found, f") {alias})")]


def groups(selected: Groups, rows: ListParts, alias: str) -> SqlText:
    terms = terms_of(selected.fields)
    values = _Values(rows.entity, terms, alias)

    def json(term: Term) -> SqlText:
        """The JSON of a term; `key` replaces the term if it is not in the row itself."""
        key = grouped(term, selected.shape.by)
        return [Json("null")] if key is None else values.json(term, key)

    text = (*concatenated(_object(selected.fields, json)), f",',' ORDER BY {alias}.nth),'')")
    found = rows.part(_groups, selected.shape, terms, own=selected.argument_index)
    return [
        Json("["),
        ("(SELECT coalesce(string_agg(", *text, " FROM (", found, f") {alias})"),
        Json("]"),
    ]


def _counted(place: Place, relationship: Relationship, where: Condition | None) -> Select[Any]:
    limit = place.parameter("limit", Integer, which=1)
    return row_list(place, relationship, where).count_up_to(limit)


def _aggregates(
    place: Place, relationship: Relationship, where: Condition | None, terms: tuple[Term, ...]
) -> Select[Any]:
    return row_list(place, relationship, where).aggregates(terms)


def _groups(
    place: Place,
    relationship: Relationship,
    where: Condition | None,
    shape: GroupingShape,
    terms: tuple[Term, ...],
) -> Select[Any]:
    return row_list(place, relationship, where).groups(shape, terms, own=place.prefixes[1])


class _Values:
    """The terms of a row, which has an alias with the columns t0, t1, ..."""

    def __init__(self, entity: str, terms: tuple[Term, ...], alias: str) -> None:
        self._noun = entity
        self._terms = terms
        self._alias = alias

    def json(self, term: Term, key: Term | None = None) -> SqlText:
        """`key` is what stands for the term, if that is not itself."""
        key = key or term
        value = f"{self._alias}.t{self._terms.index(term)}"
        scalar = scalar_of(self._noun, key)
        return json_of(scalar, value, nullable=scalar.is_nullable)


def _object(fields: Iterable[Any], json: Callable[[Term], SqlText]) -> SqlText:
    def value(field: Any) -> SqlText:
        match field:
            case TermOf():
                return json(field.term)
            case Terms():
                return _object(field.fields, json)
        return typename_of(field)

    return object_of((field.response_key, value(field)) for field in fields)
