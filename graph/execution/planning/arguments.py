"""Validates the arguments of an operation, after the coercion of variables and before any SQL.

It checks what GraphQL's types cannot express: page sizes, cursors, ids, the range of a key, text
that PostgreSQL cannot store. Each error is a `RequestError` with a stable code.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from graph.database.kinds import fits
from graph.database.reads import key_of, kind_of_key
from graph.errors import InvalidId, InvalidPage, InvalidText
from graph.execution.planning.filters import Filters
from graph.execution.planning.operands import bound, hashable
from graph.relay import RowKey, from_global_id
from graph.schema.entities import entity_of
from graph.selection import (
    DEFAULT_COUNT_LIMIT,
    DEFAULT_PAGE_SIZE,
    MAX_COUNT_LIMIT,
    MAX_GROUPS,
    MAX_OFFSET,
    MAX_PAGE_SIZE,
    Grouping,
    Ids,
    Key,
    Limit,
)
from graph.texts import trimmed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


_SURROGATE = re.compile("[\ud800-\udfff]")


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
    size = size_of("first", arguments, MAX_GROUPS)
    filters = Filters()
    by = filters.keys(arguments["by"], entity)
    return Grouping(
        by=by,
        having=filters.having(arguments.get("having"), entity),
        order=filters.order_of_groups(arguments.get("orderBy"), entity, by),
        operands=tuple(map(hashable, filters.operands)),
        size=DEFAULT_PAGE_SIZE if size is None else size,
        offset=offset_of({"offset": arguments.get("offset")}),
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
    return value if _is_storable(value) else _stored(name, value)


def _is_storable(value: Any) -> bool:
    """Whether all texts are of ASCII, as most are: then there is nothing to change or refuse."""
    ahead = [value]
    for each in ahead:  # the list grows meanwhile
        if isinstance(each, str):
            if "\0" in each or not each.isascii():
                return False
        elif isinstance(each, dict):
            ahead += each.values()
        elif isinstance(each, list):
            ahead += each
    return True


def _stored(name: str, value: Any) -> Any:
    if isinstance(value, str):
        check_text(name, value)
        return value if value.isascii() else normalize("NFC", value)
    if isinstance(value, dict):
        return {key: _stored(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_stored(name, inner) for inner in value]
    return value


def check_text(name: str, text: str) -> None:
    """Refuse a text that PostgreSQL cannot store.

    Raises:
        InvalidText: it has U+0000, or an unpaired surrogate.
    """
    if "\0" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise InvalidText(name)


def size_of(name: str, arguments: Mapping[str, Any], most: int = MAX_PAGE_SIZE) -> int | None:
    """The size of a page; None if it is absent or null.

    Raises:
        InvalidPage: it is negative, or over the maximum.
    """
    size: int | None = arguments.get(name)
    if size is not None and not 0 <= size <= most:
        raise InvalidPage(f"'{name}' must be between 0 and {most:,}, not {size}.")
    return size


def offset_of(arguments: Mapping[str, Any]) -> int:
    """The `offset`; 0 if it is absent or null.

    Raises:
        InvalidPage: it is negative, over the maximum, or beside a cursor or `last`.
    """
    offset: int = arguments.get("offset") or 0
    if not offset:
        return 0
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidPage(f"'offset' must be between 0 and {MAX_OFFSET:,}, not {offset}.")
    others = [name for name in ("after", "before", "last") if arguments.get(name) is not None]
    if others:
        raise InvalidPage(f"'offset' must not be used together with '{others[0]}'.")
    return offset


def _id(text: str, entities: Collection[str]) -> tuple[str, RowKey]:
    entity, key = from_global_id(text)
    if entity not in entities or not fits(kind_of_key(entity), key):
        raise InvalidId(text)
    return entity, key
