"""Reads the page of a list from its arguments.

What the document alone decides is worked out once for each list: its order, what its cursors hold,
and its condition, as long as variables give no more than operands of it. If they give nothing else,
the page is made once, and gets the operands of each request.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from graph.database.kinds import ScalarKind, fits
from graph.database.reads import scalar_of
from graph.errors import InvalidCursor, InvalidPage, RequestError
from graph.execution.planning.arguments import check_text, offset_of, size_of
from graph.execution.planning.filters import Filters
from graph.execution.planning.operands import bound, hashable
from graph.execution.planning.variables import SETTLED
from graph.relay import decode_cursor
from graph.schema.scalars import (
    parse_date,
    parse_datetime,
    parse_decimal,
    parse_float,
    parse_uuid,
)
from graph.selection import (
    BY_KEY,
    DEFAULT_PAGE_SIZE,
    Attribute,
    Page,
    Rank,
    Sort,
    sort_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from graph.database.kinds import Scalar
    from graph.execution.planning.variables import Path
    from graph.selection import Condition, Cursor, PageShape

# Cursors with nulls at other places make other shapes; clients use few.
_MAX_SHAPES = 32


def page_of(arguments: Mapping[str, Any], entity: str, default_order: Sequence[str] = ()) -> Page:
    """The page for a connection's arguments; null counts as absent.

    The default order is by the columns of `default_order`.

    Raises:
        InvalidPage: both `first` and `last`; a negative or too large size; an offset with a cursor.
        InvalidCursor: malformed, or made under another sort.
        InvalidFilter, InvalidOrder, InvalidId: as `Filters.where` and `Filters.order`.
    """
    return PageReader(entity, default_order)(arguments)


def found_page_of(arguments: Mapping[str, Any], union: str) -> Page:
    """The page of a search for `text`, best match first. Raises as `page_of`."""
    filters = Filters()
    where = filters.search(arguments["text"])
    order = (
        Sort(Rank(where.text), descending=True, nulls_first=True),
        Sort(Attribute("entity")),
        *BY_KEY,
    )
    return _List(union, where, order).page(arguments, tuple(filters.operands))


class PageReader:
    """Reads the pages of one list of a document; raises as `page_of`.

    `variables` are the paths in its arguments at which variables stand.
    """

    def __init__(
        self, entity: str, default_order: Sequence[str] = (), variables: Collection[Path] = ()
    ) -> None:
        self._entity = entity
        self._default_order = default_order
        self._variables = [path for path in variables if path[0] in {"where", "orderBy"}]
        self._is_slice_fixed = len(self._variables) == len(variables)
        # The last: the page, if only its operands differ.
        self._kept: tuple[_List, _Operands, Page | None] | None = None

    def __call__(self, arguments: Mapping[str, Any]) -> Page:
        if self._kept is not None:
            found, known, fixed = self._kept
            operands = known.read(arguments)
            if operands is not None:
                return fixed.with_operands(operands) if fixed else found.page(arguments, operands)
        filters = Filters()
        where = filters.where(arguments.get("where"), self._entity)
        order = filters.order(arguments.get("orderBy"), self._entity, self._default_order)
        found = _List(self._entity, where, order)
        operands = tuple(map(hashable, filters.operands))
        page = found.page(arguments, operands)
        if all(path in filters.plain for path in self._variables):
            places = [(filters.plain[path], path) for path in self._variables]
            is_fixed = self._is_slice_fixed and SETTLED not in arguments
            known = _Operands(operands, places, arguments)
            self._kept = found, known, page if is_fixed else None
        return page


class _Operands:
    """The operands of a condition that stays the same: constants, and plain values of variables.

    `places` are the indexes of these, with their paths; the first `arguments` have all of them.
    """

    def __init__(
        self,
        first: tuple[Any, ...],
        places: Sequence[tuple[int, Path]],
        arguments: Mapping[str, Any],
    ) -> None:
        self._first = first
        self._places = [(index, _keys(path, arguments)) for index, path in places]

    def read(self, arguments: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The operands in other arguments; None if one is missing, or not plain."""
        if not self._places:
            return self._first
        operands = list(self._first)
        for index, keys in self._places:
            value: Any = arguments
            try:
                for key in keys:
                    value = value[key]
            except KeyError:
                return None
            if value is None or isinstance(value, list):
                return None
            operands[index] = bound(value)
        return tuple(operands)


def _keys(path: Path, arguments: Mapping[str, Any]) -> list[Any]:
    """A path as keys of objects and indexes of lists."""
    keys: list[Any] = []
    value: Any = arguments
    for name in path:
        key = int(name) if isinstance(value, list) else name
        keys.append(key)
        value = value[key]
    return keys


class _List:
    """A list with its condition and its order; makes its pages."""

    def __init__(self, entity: str, where: Condition | None, order: tuple[Sort, ...]) -> None:
        self._entity = entity
        self._where = where
        self._order = order
        self._shapes: dict[tuple[Any, ...], PageShape] = {}

    @cached_property
    def _sort(self) -> str:
        return sort_of(self._entity, self._order)

    @cached_property
    def _scalars(self) -> list[Scalar]:
        """Of the values in its cursors."""
        return [scalar_of(self._entity, sort.term) for sort in self._order]

    def page(self, arguments: Mapping[str, Any], operands: tuple[Any, ...]) -> Page:
        """The page for these arguments; raises as `page_of`."""
        first, last = size_of("first", arguments), size_of("last", arguments)
        if first is not None and last is not None:
            raise InvalidPage("'first' and 'last' must not be used together.")
        if first is None and last is None:
            first = DEFAULT_PAGE_SIZE
        after, before = self._cursor("after", arguments), self._cursor("before", arguments)
        settled = arguments.get(SETTLED)
        if settled is not None and self._order == BY_KEY:
            end = (settled + 1,)
            before = end if before is None else min(before, end)
        offset = offset_of(arguments)
        page = Page(first, last, after, before, offset, self._where, self._order, operands)
        outline = page.outline
        shape = self._shapes.get(outline)
        if shape is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            shape = self._shapes[outline] = page.shape
        page.kept_shape = shape
        return page

    def _cursor(self, name: str, arguments: Mapping[str, Any]) -> Cursor | None:
        text: str | None = arguments.get(name)
        if text is None:
            return None
        values = decode_cursor(name, text, self._sort)
        try:
            return tuple(
                [
                    _key_value(value, scalar)
                    for value, scalar in zip(values, self._scalars, strict=True)
                ]
            )
        except (ValueError, TypeError, RequestError):
            raise InvalidCursor(name, "is not a cursor of this API.") from None


def _key_value(value: Any, scalar: Scalar) -> Any:
    """A cursor's value for binding; raises ValueError or TypeError if no row can have it."""
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
