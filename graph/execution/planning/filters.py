"""Reads filters, sorts and groupings from arguments.

Values become operands, and conditions refer to them by index. So two filters that differ only in
values are one condition, and one statement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from graph.database import relationships
from graph.database.reads import can_be_null
from graph.errors import InvalidFilter, InvalidGroups, InvalidOrder
from graph.execution.planning.operands import keys_of_ids, operator_of
from graph.schema.entities import entity_of
from graph.selection import (
    MAX_DEPTH,
    MAX_KEYS,
    MAX_PREDICATES,
    MAX_SEARCH_CHARS,
    MAX_SORTS,
    MAX_VALUES,
    AllOf,
    AnyOf,
    Attribute,
    Bucket,
    Exists,
    Matches,
    Measure,
    Rank,
    Sort,
    Test,
    Through,
    grouped,
    negated,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from graph.schema.entities import Entity
    from graph.selection import Condition, Relationship, Term

_FUNCTIONS = ("count", "sum", "avg", "min", "max")
_TRUTHS = {"isNull": "is_null", "isEmpty": "is_empty"}
_OPPOSITES = {"ne": "eq", "notIn": "in"}


@dataclass
class Filters:
    """Reads the arguments of one field of an entity; `operands` collects their values.

    `plain` has the paths of those that are bound as they are, with their indexes. Other values
    there, but for lists and nulls, make the same condition.
    """

    operands: list[Any] = field(default_factory=list)
    plain: dict[tuple[str, ...], int] = field(default_factory=dict)
    # What is searched for among the rows of the list itself; nothing, if it is blank.
    searched: Matches | AllOf | None = None
    _predicates: int = 0

    def where(self, given: Mapping[str, Any] | None, name: str) -> Condition | None:
        """The condition of a `where`; null counts as absent.

        Raises:
            InvalidFilter: a null inside, too many or too deep conditions, a text that is too long.
            InvalidId: an id of another entity.
        """
        return self._where(entity_of(name), given, ("where",)) if given else None

    def having(self, given: Mapping[str, Any] | None, name: str) -> Condition | None:
        """The condition on groups of an entity's rows; raises as `where`."""
        return self._having(entity_of(name), given, ("having",)) if given else None

    def order(
        self, given: list[Mapping[str, Any]] | None, name: str, default: Sequence[str] = ()
    ) -> tuple[Sort, ...]:
        """The complete order of a list: its last sort is by the key.

        `default` names the columns of the default order.

        Raises:
            InvalidOrder: too many sorts, or a rank without a search.
        """
        if isinstance(self.searched, AllOf):  # all rows are found, and none is before another
            given = [each for each in given or () if "rank" not in each]
        sorts = self._sorts([self._sort(entity_of(name), each) for each in given or ()])
        sorts = sorts or [Sort(Attribute(column)) for column in default]
        terms = [sort.term for sort in sorts]
        if _KEY in terms:  # whatever comes after it decides nothing
            return tuple(sorts[: terms.index(_KEY) + 1])
        descending = bool(sorts) and sorts[-1].descending
        return (*sorts, Sort(_KEY, descending, nulls_first=descending))

    def keys(self, given: list[Mapping[str, Any]], name: str) -> tuple[Term, ...]:
        """The keys of a grouping.

        Raises:
            InvalidGroups: no key, too many, a repeated one, an unknown time zone, or empty buckets
                of two keys.
        """
        if not 1 <= len(given) <= MAX_KEYS:
            raise InvalidGroups(f"'by' must have from 1 to {MAX_KEYS} keys, not {len(given)}.")
        keys = tuple(self._key(entity_of(name), each) for each in given)
        plain = [_without_bucket(key) for key in keys]
        if len(set(plain)) < len(plain):
            raise InvalidGroups("'by' must not contain a key twice.")
        if sum(isinstance(key, Bucket) and key.fills for key in keys) > 1:
            raise InvalidGroups("'emptyBuckets' is for one key of 'by' only.")
        return keys

    def order_of_groups(
        self, given: list[Mapping[str, Any]] | None, name: str, by: tuple[Term, ...]
    ) -> tuple[Sort, ...]:
        """The complete order of groups: finally by their keys.

        Raises:
            InvalidOrder: too many sorts.
            InvalidGroups: a key that is not in `by`.
        """
        sorts = self._sorts(
            [self._sort_of_group(entity_of(name), each, by) for each in given or ()]
        )
        known = {sort.term for sort in sorts}
        return (*sorts, *(Sort(key) for key in by if key not in known))

    def _where(self, entity: Entity, given: Any, path: tuple[str, ...]) -> Condition:
        conditions: list[Condition] = []
        for name, value in self._members(given, path):
            at = (*path, name)
            if name in {"and", "or", "not"}:
                conditions.append(self._logic(name, value, at, partial(self._where, entity)))
            elif name in entity.columns:
                column = entity.columns[name]
                if column.references:
                    conditions += self._key_tests(column.name, value, column.references, at)
                else:
                    conditions += self._tests(Attribute(column.name), value, at)
            elif name in entity.texts:
                conditions += self._tests(Attribute(entity.texts[name].name), value, at)
            elif name == "id":
                conditions += self._key_tests("id", value, entity.name, at)
            elif name == "search":
                conditions.append(self._search(value, at))
            elif name in entity.to_one:
                relationship = relationships.relationship(entity.name, entity.to_one[name].name)
                inner = self._where(entity_of(relationship.target), value, at)
                conditions.append(Exists(relationship, inner))
            else:
                relationship = relationships.relationship(entity.name, entity.to_many[name].name)
                conditions += self._list(relationship, value, at)
        return _all(conditions)

    def _having(self, entity: Entity, given: Any, path: tuple[str, ...]) -> Condition:
        conditions: list[Condition] = []
        for name, value in self._members(given, path):
            at = (*path, name)
            if name in _FUNCTIONS:
                conditions += self._measures(entity, name, value, at, None)
            else:
                conditions.append(self._logic(name, value, at, partial(self._having, entity)))
        return _all(conditions)

    def _list(
        self, relationship: Relationship, given: Any, path: tuple[str, ...]
    ) -> Iterator[Condition]:
        """The conditions on the rows of a to-many relationship."""
        entity = entity_of(relationship.target)
        for name, value in self._members(given, path):
            at = (*path, name)
            if name in _FUNCTIONS:
                yield from self._measures(entity, name, value, at, relationship)
                continue
            inner = self._where(entity, value, at)
            match name:
                case "some":
                    yield Exists(relationship, inner)
                case "none":
                    yield negated(Exists(relationship, inner))
                case _:
                    yield negated(Exists(relationship, negated(inner)))

    def _logic(self, name: str, value: Any, path: tuple[str, ...], read: Any) -> Condition:
        if name == "not":
            return negated(read(value, path))
        conditions = []
        for nth, each in enumerate(value):
            self._count(path)
            conditions.append(read(each, (*path, str(nth))))
        return (AllOf if name == "and" else AnyOf)(tuple(conditions))

    def _measures(
        self,
        entity: Entity,
        function: str,
        given: Any,
        path: tuple[str, ...],
        relationship: Relationship | None,
    ) -> Iterator[Condition]:
        if function == "count":
            yield from self._tests(Measure("count", None, relationship), given, path)
            return
        for name, tests in self._members(given, path):
            measure = Measure(function, entity.columns[name].name, relationship)
            yield from self._tests(measure, tests, (*path, name))

    def _key_tests(
        self, column: str, given: Any, entity: str, path: tuple[str, ...]
    ) -> Iterator[Condition]:
        """The conditions on ids of an entity, whose keys are in the column."""
        return self._tests(Attribute(column), keys_of_ids(given, entity), path, are_ids=True)

    def _tests(
        self, term: Term, given: Any, path: tuple[str, ...], *, are_ids: bool = False
    ) -> Iterator[Condition]:
        for operator, value in self._members(given, path):
            if operator in _TRUTHS:
                test: Condition = Test(term, _TRUTHS[operator])
                yield test if value else negated(test)
                continue
            plain = _OPPOSITES.get(operator, operator)
            name, operand = operator_of(plain, value)
            if isinstance(operand, list) and len(operand) > MAX_VALUES:
                message = f"'{'.'.join(path)}' lists {len(operand)} values; at most {MAX_VALUES}."
                raise InvalidFilter(message)
            index = self._operand(operand)
            if name == plain and not (are_ids or isinstance(operand, list)):
                self.plain[*path, operator] = index
            test = Test(term, name, index)
            yield test if plain == operator else negated(test)

    def search(self, text: str, path: tuple[str, ...] = ("text",)) -> Matches:
        """The condition of a search; nothing matches a text without words.

        Raises:
            InvalidFilter: the text is too long.
        """
        if len(text) > MAX_SEARCH_CHARS:
            name = ".".join(path)
            message = f"'{name}' has {len(text)} characters; at most {MAX_SEARCH_CHARS}."
            raise InvalidFilter(message)
        return Matches(self._operand(text))

    def _search(self, text: str, path: tuple[str, ...]) -> Condition:
        """The same in a filter, where blank text is no condition."""
        searched = self.search(text, path) if text.strip() else AllOf()
        if path == ("where", "search"):
            self.searched = searched
        return searched

    def _sort(self, entity: Entity, given: Mapping[str, Any]) -> Sort:
        return _directed(entity.name, *self._sorted_term(entity, given))

    def _sorted_term(
        self, entity: Entity, given: Mapping[str, Any], depth: int = 0
    ) -> tuple[Term, Any]:
        """What a sort names, and its direction."""
        ((name, value),) = given.items()
        if name in entity.columns:
            return Attribute(entity.columns[name].name), value
        if name == "rank":
            if not isinstance(self.searched, Matches) or depth:
                raise InvalidOrder("'rank' requires 'search' in the 'where' of the same list.")
            return Rank(self.searched.text), value
        if name in entity.to_one:
            _check_depth(depth, "orderBy")
            relationship = relationships.relationship(entity.name, entity.to_one[name].name)
            target = entity_of(relationship.target)
            inner, direction = self._sorted_term(target, value, depth + 1)
            return Through(relationship, inner), direction
        relationship = relationships.relationship(entity.name, entity.to_many[name].name)
        return _measured(entity_of(relationship.target), value, relationship)

    def _sort_of_group(
        self, entity: Entity, given: Mapping[str, Any], by: tuple[Term, ...]
    ) -> Sort:
        if "key" not in given:
            return _directed(entity.name, *_measured(entity, given, None))
        sort = self._sort(entity, given["key"])
        term = None if isinstance(sort.term, Measure) else grouped(sort.term, by)
        if term is None:
            raise InvalidGroups("'orderBy' contains a key that is not in 'by'.")
        return Sort(term, sort.descending, sort.nulls_first)

    def _sorts(self, sorts: list[Sort]) -> list[Sort]:
        """The distinct terms: a second sort by the same term has no effect."""
        if len(sorts) > MAX_SORTS:
            raise InvalidOrder(f"'orderBy' has {len(sorts)} sorts; at most {MAX_SORTS}.")
        found: dict[Term, Sort] = {}
        for sort in sorts:
            found.setdefault(sort.term, sort)
        return list(found.values())

    def _key(self, entity: Entity, given: Mapping[str, Any], depth: int = 0) -> Term:
        ((name, value),) = given.items()
        if name == "column":
            return Attribute(entity.columns[_plain(value)].name)
        if name in entity.columns:
            return self._bucket(Attribute(entity.columns[name].name), value)
        _check_depth(depth, "by")
        relationship = relationships.relationship(entity.name, entity.to_one[name].name)
        inner = self._key(entity_of(relationship.target), value, depth + 1)
        if isinstance(inner, Bucket):
            return replace(inner, term=Through(relationship, inner.term))
        return Through(relationship, inner)

    def _bucket(self, term: Attribute, given: Mapping[str, Any]) -> Bucket:
        unit, zone = _plain(given["unit"]), given["timeZone"]
        if zone not in _time_zones():
            raise InvalidGroups(f"There is no time zone '{zone[:64]}'.")
        weekday = _plain(given.get("weekStart")) or 0
        if weekday and unit != "week":
            raise InvalidGroups("'weekStart' is for buckets of a WEEK only.")
        fills = bool(given.get("emptyBuckets"))
        return Bucket(term, unit, self._operand(_ABBREVIATED.get(zone, zone)), weekday, fills)

    def _members(
        self, given: Mapping[str, Any], path: tuple[str, ...]
    ) -> Iterator[tuple[str, Any]]:
        """The members of an input object; each is counted, and none may be null."""
        if len(path) > _DEEPEST:
            raise InvalidFilter(f"'{path[0]}' is nested more than {MAX_DEPTH} deep.")
        for name, value in given.items():
            self._count(path)
            if value is None:
                where = ".".join((*path, name))
                raise InvalidFilter(f"'{where}' must not be null: leave it out, or use 'isNull'.")
            yield name, value

    def _count(self, path: tuple[str, ...]) -> None:
        self._predicates += 1
        if self._predicates > MAX_PREDICATES:
            raise InvalidFilter(f"'{path[0]}' has more than {MAX_PREDICATES} conditions.")

    def _operand(self, value: Any) -> int:
        self.operands.append(value)
        return len(self.operands) - 1


_KEY = Attribute("id")
# Of a path: each level has a name, those of lists a number too; then a column and an operator.
_DEEPEST = 2 * MAX_DEPTH + 2


# Zones whose names PostgreSQL takes for abbreviations of fixed offsets, by the zones that they are
# links to in the IANA time zone database (file `backward`, since 2024b).
_ABBREVIATED = {
    "CET": "Europe/Brussels",
    "EET": "Europe/Athens",
    "EST": "America/Panama",
    "HST": "Pacific/Honolulu",
    "MET": "Europe/Brussels",
    "MST": "America/Phoenix",
    "WET": "Europe/Lisbon",
}


@cache
def _time_zones() -> set[str]:
    # A link on this machine: no name of the database, and PostgreSQL's would be another.
    return available_timezones() - {"localtime"}


def _all(conditions: list[Condition]) -> Condition:
    return conditions[0] if len(conditions) == 1 else AllOf(tuple(conditions))


def _plain(value: Any) -> Any:
    """The value of an enum's member."""
    return getattr(value, "value", value)


def _measured(
    entity: Entity, given: Mapping[str, Any], relationship: Relationship | None
) -> tuple[Measure, Any]:
    """The aggregate in a `@oneOf` input, and its direction."""
    ((function, value),) = given.items()
    if function == "count":
        return Measure("count", None, relationship), value
    ((name, direction),) = value.items()
    return Measure(function, entity.columns[name].name, relationship), direction


def _directed(entity: str, term: Term, direction: Any) -> Sort:
    """The sort with its direction; nulls have no position if the term is never null."""
    name = _plain(direction)
    descending = name.startswith("DESC")
    nulls_first = name.endswith("NULLS_FIRST")
    return Sort(term, descending, nulls_first if can_be_null(entity, term) else descending)


def _without_bucket(key: Term) -> Term:
    return key.term if isinstance(key, Bucket) else key


def _check_depth(depth: int, argument: str) -> None:
    if depth >= MAX_DEPTH:
        raise InvalidOrder(f"'{argument}' is nested more than {MAX_DEPTH} deep.")
