"""The beginning of the day, week, ... that a moment falls into, as the clock of a zone shows it.

A clock can show a time twice, or never. A bucket begins at the first moment at which its clock
shows its first time or a later one, so that no bucket begins after a moment that falls into it.
PostgreSQL by itself takes the second of two: in the Azores, where clocks go back from one o'clock
to midnight, the day would begin an hour after its first moments.

The full hour is of the moment's own offset: an hour that comes twice is two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, Interval, case, column, func, select, true, type_coerce
from sqlalchemy import literal_column as raw_sql

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

    from graph.selection import Bucket

# A bucket begins where years do, and not in the year before in which some zone has it begin.
_FIRST_TIME: ColumnElement[Any] = raw_sql("timestamptz '0001-01-01 00:00:00+00'")
_UTC: ColumnElement[Any] = raw_sql("'UTC'")
_DAY: ColumnElement[Any] = raw_sql("interval '1 day'", Interval)
_SECOND: ColumnElement[Any] = raw_sql("interval '1 second'", Interval)


class Buckets:
    """The buckets that rows are put into. Each is computed in steps, which are joined to the rows.

    A step stands in a sub-select of its own, behind OFFSET 0: the next one names it often.
    """

    def __init__(self) -> None:
        self._steps: list[FromClause] = []
        self._known: dict[Bucket, ColumnElement[Any]] = {}

    def joined_to(self, source: FromClause) -> FromClause:
        for step in self._steps:
            source = source.join(step, true())
        return source

    def key(
        self, bucket: Bucket, moment: ColumnElement[Any], zone: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The beginning of the bucket that a moment of the row falls into; NULL for NULL."""
        if bucket not in self._known:
            if bucket.unit == "hour":
                self._known[bucket] = self._within_time(hour_of(moment, zone))
            else:
                shown = self._named(start_shown(bucket, moment, zone))
                self._known[bucket] = self.first_moment(shown, zone)
        return self._known[bucket]

    def first_moment(
        self, local: ColumnElement[Any], zone: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The moment at which the bucket begins whose start the clock shows as `local`."""
        return self._within_time(self._first_moment(local, zone))

    def _within_time(self, begins: ColumnElement[Any]) -> ColumnElement[Any]:
        begins = self._named(begins)
        return self._named(case((begins < _FIRST_TIME, _FIRST_TIME), else_=begins))

    def _first_moment(
        self, local: ColumnElement[Any], zone: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """The first moment at which the clock shows this time, or one that it goes on to.

        `usual` is right but where the clock shows the time twice, or never. With the offset of the
        day before, `early` is the first of two; where the clock skips the time, it lies after the
        change, by as much as the skipped time lies after the last one shown.
        """
        usual = self._named(_moment(local, zone))
        before = usual - _DAY
        offset = _shown(before, zone) - _shown(before, _UTC)
        early = self._named(_moment(local - offset, _UTC))
        shown = self._named(_shown(early, zone))
        seconds = func.generate_series(early - (shown - local), early, _SECOND)
        found = seconds.table_valued(column("second", DateTime(timezone=True)), name="second")
        change = select(func.min(found.c.second)).where(_shown(found.c.second, zone) >= local)
        return case(
            (shown == local, func.least(early, usual)),
            (_shown(usual, zone) == local, usual),
            (_shown(early - _SECOND, zone) < local, early),
            else_=change.correlate_except(found).scalar_subquery(),
        )

    def _named(self, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """The value by the name of its step."""
        step = select(value.label("value")).correlate_except().offset(raw_sql("0")).lateral()
        self._steps.append(step)
        return step.c.value


def hour_of(moment: ColumnElement[Any], zone: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.date_trunc(raw_sql("'hour'"), moment, zone, type_=DateTime(timezone=True))


def start_shown(
    bucket: Bucket, moment: ColumnElement[Any], zone: ColumnElement[Any]
) -> ColumnElement[Any]:
    """What the clock shows when the bucket of a moment begins, if that is not an hour."""
    unit: ColumnElement[Any] = raw_sql(f"'{bucket.unit}'")
    local = _shown(moment, zone)
    if bucket.unit == "week" and bucket.first_weekday:
        days = raw_sql(f"interval '{bucket.first_weekday} days'", Interval)
        return type_coerce(func.date_trunc(unit, local - days, type_=DateTime()) + days, DateTime())
    return func.date_trunc(unit, local, type_=DateTime())


def _shown(moment: ColumnElement[Any], zone: ColumnElement[Any]) -> ColumnElement[Any]:
    """What the clock of the zone shows at a moment."""
    return func.timezone(zone, moment, type_=DateTime())


def _moment(local: ColumnElement[Any], zone: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.timezone(zone, local, type_=DateTime(timezone=True))
