"""Groups of the time buckets in which a list has no rows: each with count 0, and without values.

The buckets go from the first to the last of all groups, or as far as the filter bounds the time.
Their starts are counted on the clock of the zone, not in seconds: a day of 23 hours is one bucket.
Where there are other keys, each combination of their values has all of the buckets.

The statement fails when there are too many (`graph.database.engine.translated` knows the text), as
only PostgreSQL knows how far the rows go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    Integer,
    Interval,
    String,
    case,
    cast,
    exists,
    func,
    select,
    true,
    union_all,
)
from sqlalchemy import literal_column as raw_sql

from graph.database.reads.buckets import Buckets, hour_of, start_shown
from graph.errors import TooManyBuckets
from graph.selection import MAX_FILLED_GROUPS, MAX_GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CTE, ColumnElement, FromClause, Select, Subquery

    from graph.selection import Bucket

_STEPS = {"day": "1 day", "week": "7 days", "month": "1 month", "quarter": "3 months"}
# Where a zone moves its clock by less than an hour, hours overlap: none is stepped over like this.
_STEPS_OF_AN_HOUR = 4
_QUARTER: ColumnElement[Any] = raw_sql("interval '15 minutes'", Interval)
_ONE: ColumnElement[int] = raw_sql("1", Integer)
_NOTHING: ColumnElement[int] = raw_sql("0", Integer)


class Span(NamedTuple):
    """The first and the last moment that a filter admits; None where it does not say."""

    first: ColumnElement[Any] | None = None
    last: ColumnElement[Any] | None = None


def with_empty(
    groups: CTE,
    keys: Sequence[str],
    key: str,
    empty: dict[str, ColumnElement[Any]],
    starts: FromClause,
) -> Select[Any]:
    """The groups, and those of the starts that none of them has; columns as in `groups`.

    `key` names the bucket among the keys, `empty` the measures of a group without rows. `starts`
    has them as `value`.
    """
    others = [name for name in keys if name != key]
    found, source = groups.alias(), starts
    values: dict[str, ColumnElement[Any]] = {key: starts.c.value, **empty}
    limit: ColumnElement[bool] = true()
    if others:
        distinct = select(*(groups.c[name] for name in others)).distinct().subquery()
        combined = select(*distinct.c, func.count().over().label("combinations")).subquery()
        source = starts.join(combined, true())
        values |= {name: combined.c[name] for name in others}
        limit = _at_most(MAX_FILLED_GROUPS, combined.c.combinations * starts.c.number)
    # The equality is what PostgreSQL can hash: a start is never NULL, and other keys can be.
    same = [found.c[key] == starts.c.value]
    same += [found.c[name].is_not_distinct_from(values[name]) for name in others]
    filled = select(*(values[column.name].label(column.name) for column in groups.c))
    filled = filled.select_from(source).where(limit, ~exists(select(_ONE).where(*same)))
    return union_all(select(*groups.c), filled)  # type: ignore[return-value]


def starts_of(
    bucket: Bucket, zone: ColumnElement[Any], groups: CTE, key: str, span: Span
) -> Subquery:
    """The starts of all buckets, each once, as `value`; their `number` is at most their limit."""
    is_hour, buckets = bucket.unit == "hour", Buckets()
    first = span.first
    if first is not None and is_hour:
        first = hour_of(first, zone)
    ends = select(
        (func.min(groups.c[key]) if first is None else first).label("first"),
        (func.max(groups.c[key]) if span.last is None else span.last).label("last"),
    ).subquery()
    if is_hour:
        most, step = MAX_GROUPS * _STEPS_OF_AN_HOUR, _QUARTER
        series = func.generate_series(ends.c.first, ends.c.last, step)
    else:
        most = MAX_GROUPS
        step = raw_sql(f"interval '{_STEPS.get(bucket.unit, '1 year')}'", Interval)
        shown = (start_shown(bucket, end, zone) for end in (ends.c.first, ends.c.last))
        series = func.generate_series(*shown, step)
    # In the list of columns it ends at the limit; in FROM it would be written in full.
    steps = select(series.label("step"), ends.c.first).limit(raw_sql(str(most + 1))).subquery()
    counted = select(*steps.c, func.count().over().label("number")).offset(raw_sql("0")).subquery()
    step_ = counted.c.step
    value = hour_of(step_, zone) if is_hour else buckets.first_moment(step_, zone)
    starts = select(value.label("value"), counted.c.number)
    starts = starts.select_from(buckets.joined_to(counted)).where(_at_most(most, counted.c.number))
    return (starts.where(value >= counted.c.first) if is_hour else starts).distinct().subquery()


def _at_most(most: int, number: ColumnElement[Any]) -> ColumnElement[bool]:
    """True, or an error of the statement."""
    failure = cast(cast(number, String).concat(raw_sql(f"'{TooManyBuckets.MARK}'")), Integer)
    return case((number > raw_sql(str(most)), failure), else_=_NOTHING) == _NOTHING
