"""Validates the arguments of an operation, after the coercion of variables and before any SQL.

It checks what GraphQL's types cannot express: page sizes, cursors, ids, the range of a key, text
that PostgreSQL cannot store. Each error is a `RequestError` with a stable code.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from graph.database.kinds import ScalarKind, fits
from graph.database.reads import key_of, scalar_of, scalar_of_column
from graph.errors import InvalidCursor, InvalidId, InvalidPage, InvalidText, RequestError
from graph.execution.planning.filters import Filters
from graph.execution.planning.operands import bound
from graph.execution.planning.variables import SETTLED
from graph.relay import RowKey, decode_cursor, from_global_id
from graph.schema.entities import entity_of
from graph.schema.scalars import (
    parse_date,
    parse_datetime,
    parse_decimal,
    parse_float,
    parse_uuid,
)
from graph.selection import (
    BY_KEY,
    DEFAULT_COUNT_LIMIT,
    DEFAULT_PAGE_SIZE,
    MAX_COUNT_LIMIT,
    MAX_GROUPS,
    MAX_OFFSET,
    MAX_PAGE_SIZE,
    Attribute,
    Grouping,
    Ids,
    Key,
    Limit,
    Page,
    Rank,
    Sort,
    sort_of,
)
from graph.texts import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from graph.selection import Condition, Cursor


_SURROGATE = re.compile("[\ud800-\udfff]")


def page_of(arguments: Mapping[str, Any], entity: str, default_order: Sequence[str] = ()) -> Page:
    """The page for a connection's arguments; null counts as absent.

    The default order is by the columns of `default_order`.

    Raises:
        InvalidPage: both `first` and `last`; a negative or too large size; an offset with a cursor.
        InvalidCursor: malformed, or made under another sort.
        InvalidFilter, InvalidOrder, InvalidId: as `Filters.where` and `Filters.order`.
    """
    filters = Filters()
    where = filters.where(arguments.get("where"), entity)
    order = filters.order(arguments.get("orderBy"), entity, default_order)
    page = _page(arguments, entity, filters, where, order)
    settled = arguments.get(SETTLED)
    if settled is None or order != BY_KEY:
        return page
    end = (settled + 1,)
    return replace(page, before=end if page.before is None else min(page.before, end))


def found_page_of(arguments: Mapping[str, Any], union: str) -> Page:
    """The page of a search for `text`, best match first. Raises as `page_of`."""
    filters = Filters()
    where = filters.search(arguments["text"])
    order = (
        Sort(Rank(where.text), descending=True, nulls_first=True),
        Sort(Attribute("entity")),
        *BY_KEY,
    )
    return _page(arguments, union, filters, where, order)


def limit_of(arguments: Mapping[str, Any]) -> Limit:
    """The `limit` of a count; null counts as absent.

    Raises:
        InvalidPage: less than 1, or over the maximum.
    """
    limit = arguments.get("limit")
    limit = DEFAULT_COUNT_LIMIT if limit is None else limit
    if not 1 <= limit <= MAX_COUNT_LIMIT:
        raise InvalidPage(f"'limit' must be between 1 and {MAX_COUNT_LIMIT:,}, not {limit}.")
    return Limit(limit)


def grouping_of(arguments: Mapping[str, Any], entity: str) -> Grouping:
    """The grouping for the arguments of `groups`.

    Raises:
        InvalidPage: `first` or `offset` is negative, or over the maximum.
        InvalidGroups, InvalidOrder, InvalidFilter: as the methods of `Filters`.
    """
    size = _size("first", arguments, MAX_GROUPS)
    filters = Filters()
    by = filters.keys(arguments["by"], entity)
    return Grouping(
        by=by,
        having=filters.having(arguments.get("having"), entity),
        order=filters.order_of_groups(arguments.get("orderBy"), entity, by),
        operands=tuple(map(_hashable, filters.operands)),
        size=DEFAULT_PAGE_SIZE if size is None else size,
        offset=_offset({"offset": arguments.get("offset")}),
    )


def id_of(arguments: Mapping[str, Any], entities: Collection[str]) -> Ids:
    """The entity and key of the global id in `id`.

    Raises:
        InvalidId: malformed, or of an entity that this schema does not have.
    """
    return Ids((_id(arguments["id"], entities),))


def ids_of(arguments: Mapping[str, Any], entities: Collection[str]) -> Ids:
    """The entities and keys of the global ids in `ids`, and a problem for each malformed one.

    Raises:
        InvalidPage: more ids than the maximum page size.
    """
    texts = arguments["ids"]
    if len(texts) > MAX_PAGE_SIZE:
        raise InvalidPage(f"'ids' holds {len(texts)} ids; at most {MAX_PAGE_SIZE} are allowed.")
    keys: list[tuple[str, RowKey | None]] = []
    problems: list[tuple[int, Exception]] = []
    for index, text in enumerate(texts):
        try:
            keys.append(_id(text, entities))
        except InvalidId as error:
            keys.append(("", None))
            problems.append((index, error))
    return Ids(tuple(keys), tuple(problems))


def lookup_key_of(arguments: Mapping[str, Any], entity: str) -> Key:
    """The unique value that the `@oneOf` argument `by` names.

    Raises:
        InvalidId: an id of another entity.
    """
    ((name, value),) = arguments["by"].items()
    if name == "id":
        return Key("id", key_of(value, entity))
    column = entity_of(entity).columns[name]
    if column.references is not None:
        return Key(column.name, key_of(value, column.references))
    value = trimmed(value) if type(value) is str else value  # as it was when it was written
    return Key(column.name, bound(value))


def storable(name: str, value: Any) -> Any:
    """The same with all texts in Normalization Form C, at any depth; `name` is the value's.

    Raises:
        InvalidText: one that PostgreSQL cannot store, as `check_text`.
    """
    if isinstance(value, str):
        check_text(name, value)
        return value if value.isascii() else normalize("NFC", value)
    if isinstance(value, dict):
        return {key: storable(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [storable(name, inner) for inner in value]
    return value


def check_text(name: str, text: str) -> None:
    """Refuse a text that PostgreSQL cannot store.

    Raises:
        InvalidText: it has U+0000, or an unpaired surrogate.
    """
    if "\0" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise InvalidText(name)


def _page(
    arguments: Mapping[str, Any],
    entity: str,
    filters: Filters,
    where: Condition | None,
    order: tuple[Sort, ...],
) -> Page:
    first, last = _size("first", arguments), _size("last", arguments)
    if first is not None and last is not None:
        raise InvalidPage("'first' and 'last' must not be used together.")
    if first is None and last is None:
        first = DEFAULT_PAGE_SIZE
    return Page(
        first=first,
        last=last,
        after=_cursor("after", arguments, entity, order),
        before=_cursor("before", arguments, entity, order),
        offset=_offset(arguments),
        where=where,
        order=order,
        operands=tuple(map(_hashable, filters.operands)),
    )


def _size(name: str, arguments: Mapping[str, Any], most: int = MAX_PAGE_SIZE) -> int | None:
    size: int | None = arguments.get(name)
    if size is not None and not 0 <= size <= most:
        raise InvalidPage(f"'{name}' must be between 0 and {most:,}, not {size}.")
    return size


def _offset(arguments: Mapping[str, Any]) -> int:
    offset: int = arguments.get("offset") or 0
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidPage(f"'offset' must be between 0 and {MAX_OFFSET:,}, not {offset}.")
    others = [name for name in ("after", "before", "last") if arguments.get(name) is not None]
    if offset and others:
        raise InvalidPage(f"'offset' must not be used together with '{others[0]}'.")
    return offset


def _hashable(operand: Any) -> Any:
    return tuple(operand) if isinstance(operand, list) else operand


def _cursor(
    name: str, arguments: Mapping[str, Any], entity: str, order: tuple[Sort, ...]
) -> Cursor | None:
    text: str | None = arguments.get(name)
    if text is None:
        return None
    values = decode_cursor(name, text, sort_of(entity, order))
    try:
        return tuple(
            _key_value(value, entity, sort) for value, sort in zip(values, order, strict=True)
        )
    except (ValueError, TypeError, RequestError):
        raise InvalidCursor(name, "is not a cursor of this API.") from None


def _key_value(value: Any, entity: str, sort: Sort) -> Any:
    """A cursor's value for binding; raises ValueError or TypeError if no row can have it."""
    scalar = scalar_of(entity, sort.term)
    if value is None and scalar.is_nullable:
        return None
    if type(value) not in _JSON_OF.get(scalar.kind, (str,)):
        raise TypeError(value)
    if isinstance(value, str):
        check_text("", value)
    read = _READ.get(scalar.kind)
    value = read(value) if read else value
    if scalar.kind in _WHOLE_NUMBERS and not fits(scalar.kind, value):
        raise ValueError(value)
    if scalar.kind is ScalarKind.ENUM and value not in scalar.names:
        raise ValueError(value)
    return value


# The JSON that a cursor has of each kind, if that is no string; and what reads it.
_WHOLE_NUMBERS = {ScalarKind.INTEGER, ScalarKind.BIGINT, ScalarKind.COUNT}
_JSON_OF: dict[ScalarKind, tuple[type, ...]] = {
    **dict.fromkeys(_WHOLE_NUMBERS, (int,)),
    ScalarKind.FLOAT: (int, float),
    ScalarKind.BOOLEAN: (bool,),
}
_READ: dict[ScalarKind, Callable[[Any], Any]] = {
    ScalarKind.DECIMAL: parse_decimal,
    ScalarKind.FLOAT: parse_float,
    ScalarKind.DATE: lambda value: parse_date(value).isoformat(),
    ScalarKind.TIME: lambda value: parse_datetime(value).isoformat(),
    ScalarKind.UUID: parse_uuid,
}


def _id(text: str, entities: Collection[str]) -> tuple[str, RowKey]:
    entity, key = from_global_id(text)
    if entity not in entities or not fits(scalar_of_column(entity, "id").kind, key):
        raise InvalidId(text)
    return entity, key
