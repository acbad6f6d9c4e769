"""The order of a list, and the rows beyond a cursor.

A predicate such as `a > $1 OR (a = $1 AND ...)` reads an index from its start. So the rows beyond a
cursor are described as ranges, each of which an index serves by itself: one comparison of rows if
all keys have one direction and none is nullable, else one range per key, deepest key first:

    town = $1 AND id > $2      town > $1      town IS NULL
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, or_, tuple_

from graph.database.kinds import Scalar, ScalarKind
from graph.database.reads.expressions import is_stored, scalar_of
from graph.database.reads.sql_fragments import Json, concatenated, json_of, named
from graph.selection import sort_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graph.database.reads.sql_fragments import SqlText
    from graph.selection import Sort

    # What a cursor says, in the order of the sorts.
    Values = Sequence[ColumnElement[Any] | None]


_LINE_BYTES = 57
# Of a cursor with one key: brackets, quotes and a comma around the name, and the longest key.
_MOST_BYTES = {ScalarKind.INTEGER: 5 + 11, ScalarKind.BIGINT: 5 + 20}


@dataclass(frozen=True, slots=True)
class Ordering:
    """The sorts of an entity's list. The last sort is by the key, which is unique."""

    entity: str
    sorts: tuple[Sort, ...]

    @property
    def backwards(self) -> Ordering:
        return Ordering(self.entity, tuple(sort.reversed for sort in self.sorts))

    @property
    def is_stored(self) -> bool:
        """Whether all keys are columns of the table, so that an index can have this order."""
        return all(is_stored(self.entity, sort.term) for sort in self.sorts)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names of the keys in a page; all but the last have names of their own."""
        return (*(f"k{nth}" for nth in range(len(self.sorts) - 1)), "id")

    def scalars(self) -> Iterator[Scalar]:
        """What is known of the values of each key."""
        for sort in self.sorts:
            yield scalar_of(self.entity, sort.term)

    def clauses(self, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        return [
            _clause(sort, key, nullable=scalar.is_nullable)
            for sort, key, scalar in zip(self.sorts, keys, self.scalars(), strict=True)
        ]

    def words(self, alias: str) -> str:
        """The same over the keys of a page, in words."""
        keys = [
            named(alias, name) + _direction(sort, nullable=scalar.is_nullable)
            for sort, name, scalar in zip(self.sorts, self.names, self.scalars(), strict=True)
        ]
        return ",".join(keys)

    def cursor_values(
        self, nulls: tuple[bool, ...], name: Callable[[int], str]
    ) -> list[ColumnElement[Any] | None]:
        """The parameters for a cursor's values; None for a null."""
        return [
            None if null else scalar.bound(name(nth))
            for nth, (null, scalar) in enumerate(zip(nulls, self.scalars(), strict=True))
        ]

    def cursor_text(self, alias: str) -> str:
        """The SQL of a row's cursor in base64, over the keys of a page."""
        name_of_sort = sort_of(self.entity, self.sorts)
        text: SqlText = [Json(f'["{name_of_sort}"')]
        for name, scalar in zip(self.names, self.scalars(), strict=True):
            text += [Json(","), *_json_in_cursor(scalar, named(alias, name))]
        chain = "".join(map(str, concatenated([*text, Json("]")])))
        encoded = f"encode(textsend({chain}),'base64')"
        key = next(self.scalars()).kind
        # Base64 breaks its lines at 57 bytes, which a number alone does not reach.
        is_short = (
            len(self.sorts) == 1
            and len(name_of_sort) + _MOST_BYTES.get(key, _LINE_BYTES) < _LINE_BYTES
        )
        return encoded if is_short else f"replace({encoded},E'\\n','')"

    def ranges(
        self, keys: Sequence[ColumnElement[Any]], values: Values
    ) -> list[list[ColumnElement[bool]]]:
        """The conditions of each range beyond a cursor with these values."""
        if self._is_one_range:
            return [[_row(keys) > _row(values) if self._ascends else _row(keys) < _row(values)]]
        return list(self._ranges(keys, values))

    def beyond(self, keys: Sequence[ColumnElement[Any]], values: Values) -> ColumnElement[bool]:
        """All ranges as one predicate, for rows that are not read by an index."""
        return or_(*(and_(*conditions) for conditions in self.ranges(keys, values)))

    def _ranges(
        self, keys: Sequence[ColumnElement[Any]], values: Values
    ) -> Iterator[list[ColumnElement[bool]]]:
        nullable = [scalar.is_nullable for scalar in self.scalars()]
        for depth in reversed(range(len(keys))):
            equal = [same(key, value) for key, value in zip(keys, values, strict=True)][:depth]
            sort, key, value = self.sorts[depth], keys[depth], values[depth]
            if value is not None:
                yield [*equal, key < value if sort.descending else key > value]
            if nullable[depth] and (value is None) is sort.nulls_first:
                yield [*equal, key.is_not(None) if value is None else key.is_(None)]

    @property
    def _ascends(self) -> bool:
        return not self.sorts[0].descending

    @property
    def _is_one_range(self) -> bool:
        directions = {sort.descending for sort in self.sorts}
        return len(directions) == 1 and not any(scalar.is_nullable for scalar in self.scalars())


def _json_in_cursor(scalar: Scalar, value: str) -> SqlText:
    """A bigint is a number there: only this code reads it."""
    is_number = scalar.kind is ScalarKind.BIGINT
    kind = ScalarKind.COUNT if is_number else scalar.kind
    return json_of(Scalar(kind), value, nullable=scalar.is_nullable)


def same(key: ColumnElement[Any], value: ColumnElement[Any] | None) -> ColumnElement[bool]:
    return key.is_(None) if value is None else key == value


def _row(columns: Any) -> Any:
    return columns[0] if len(columns) == 1 else tuple_(*columns)


def _clause(sort: Sort, key: ColumnElement[Any], *, nullable: bool) -> ColumnElement[Any]:
    clause = key.desc() if sort.descending else key.asc()
    if not nullable or sort.nulls_first is sort.descending:
        return clause  # as PostgreSQL and its indexes have it
    return clause.nulls_first() if sort.nulls_first else clause.nulls_last()


def _direction(sort: Sort, *, nullable: bool) -> str:
    direction = " DESC" if sort.descending else ""
    if not nullable or sort.nulls_first is sort.descending:
        return direction
    return direction + (" NULLS FIRST" if sort.nulls_first else " NULLS LAST")
