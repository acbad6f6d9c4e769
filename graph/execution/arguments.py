"""The one check of arguments: after variables were coerced, before any SQL or resolver runs.

What GraphQL's types cannot say is said here: page sizes, cursors, ids, the range of a key, text
that PostgreSQL can hold. Each refusal is a `RequestError` with a stable code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.errors import InvalidId, InvalidPage, InvalidText
from graph.opaque import decode_cursor, decode_id
from graph.schema.types import NOUNS
from graph.selection import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Ids, Key, Page

if TYPE_CHECKING:
    from collections.abc import Mapping


def page_of(arguments: Mapping[str, Any], noun: str) -> Page:
    """The page that `first`, `after`, `last` and `before` ask for; null is as good as absent.

    Raises:
        InvalidPage: both `first` and `last`; negative; over the cap.
        InvalidCursor: mangled, or made under another sort.
    """
    first, last = _size("first", arguments), _size("last", arguments)
    if first is not None and last is not None:
        raise InvalidPage("'first' and 'last' exclude each other: give one of them.")
    if first is None and last is None:
        first = DEFAULT_PAGE_SIZE
    return Page(
        first=first,
        last=last,
        after=_cursor("after", arguments, noun),
        before=_cursor("before", arguments, noun),
    )


def ids_of(arguments: Mapping[str, Any]) -> Ids:
    """What the global ids in `ids`, or the one in `id`, name.

    Raises:
        InvalidId: not an id, or of a noun that this schema does not have.
        InvalidPage: more ids than a page has rows.
    """
    texts = arguments["ids"] if "ids" in arguments else [arguments["id"]]
    if len(texts) > MAX_PAGE_SIZE:
        raise InvalidPage(f"'ids' holds {len(texts)} ids; at most {MAX_PAGE_SIZE} are allowed.")
    return Ids(tuple(_id(text) for text in texts))


def key_of(arguments: Mapping[str, Any], noun: str) -> Key:
    """The unique value that the `@oneOf` argument `by` names.

    Raises:
        InvalidId: an id of another noun.
    """
    ((name, value),) = arguments["by"].items()
    if name == "id":
        found, key = _id(value)
        if found != noun:
            raise InvalidId(value)
        return Key("id", key)
    return Key("id" if name == "databaseId" else name, value)


def check_text(name: str, value: object) -> None:
    """Refuse, at any depth, text that PostgreSQL cannot hold.

    Raises:
        InvalidText: U+0000, or a lone surrogate.
    """
    match value:
        case str():
            if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
                raise InvalidText(name)
        case dict():
            for key, inner in value.items():
                check_text(key, inner)
        case list():
            for inner in value:
                check_text(name, inner)


def _size(name: str, arguments: Mapping[str, Any]) -> int | None:
    size: int | None = arguments.get(name)
    if size is not None and not 0 <= size <= MAX_PAGE_SIZE:
        raise InvalidPage(f"'{name}' must be between 0 and {MAX_PAGE_SIZE}, not {size}.")
    return size


def _cursor(name: str, arguments: Mapping[str, Any], noun: str) -> int | None:
    text: str | None = arguments.get(name)
    return None if text is None else decode_cursor(name, text, noun)


def _id(text: str) -> tuple[str, int]:
    noun, key = decode_id(text)
    if noun not in NOUNS:
        raise InvalidId(text)
    return noun, key
