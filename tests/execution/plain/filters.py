"""The rows that match a `where`, and aggregates of rows. Conditions are never null."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from tests.execution.plain.shop import COLUMNS, TO_ONE, BigInt, References

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.execution.plain.shop import Row, Shop

FUNCTIONS = ("count", "sum", "avg", "min", "max")


def meets(shop: Shop, entity: str, row: Row, where: dict[str, Any] | None) -> bool:
    return all(_meets(shop, entity, row, name, value) for name, value in (where or {}).items())


def _meets(shop: Shop, entity: str, row: Row, name: str, value: Any) -> bool:
    if name in {"and", "or", "not"}:
        return _logic(name, value, lambda inner: meets(shop, entity, row, inner))
    if name == "id":
        return passes(row["databaseId"], _keys_of(value), int)
    if name in COLUMNS[entity]:
        return passes(row[name], value, COLUMNS[entity][name])
    if name in TO_ONE.get(entity, {}):
        return meets(shop, *shop.one(entity, row, name), value)
    target, rows = shop.many(entity, row, name)
    return all(_of_list(shop, target, rows, what, inner) for what, inner in value.items())


def _logic(name: str, value: Any, check: Callable[[Any], bool]) -> bool:
    if name == "not":
        return not check(value)
    return (all if name == "and" else any)(check(inner) for inner in as_list(value))


def _of_list(shop: Shop, entity: str, rows: list[Row], what: str, value: Any) -> bool:
    if what in FUNCTIONS:
        return measures_pass(entity, rows, what, value)
    met = [meets(shop, entity, row, value) for row in rows]
    return {"some": any(met), "every": all(met), "none": not any(met)}[what]


def has(entity: str, rows: list[Row], having: dict[str, Any] | None) -> bool:
    """Whether a group of these rows meets a `having`."""
    return all(
        measures_pass(entity, rows, name, value)
        if name in FUNCTIONS
        else _logic(name, value, lambda inner: has(entity, rows, inner))
        for name, value in (having or {}).items()
    )


def measures_pass(entity: str, rows: list[Row], function: str, tests: dict[str, Any]) -> bool:
    if function == "count":
        return passes(len(rows), tests, int)
    return all(
        passes(
            measure(entity, rows, function, column),
            inner,
            Decimal if function in {"sum", "avg"} else COLUMNS[entity][column],
        )
        for column, inner in tests.items()
    )


def measure(entity: str, rows: list[Row], function: str, column: str = "") -> Any:
    """An aggregate of rows: nulls are left out, and over none of them it is None."""
    if function == "count":
        return len(rows)
    values = [row[column] for row in rows if row[column] is not None]
    if function == "distinctCount":
        return len(set(values))
    if not values:
        return None
    if function in {"min", "max"}:
        return (min if function == "min" else max)(values)
    assert COLUMNS[entity][column] in {int, Decimal}
    total = sum(map(Decimal, values), Decimal(0))
    if function == "sum":
        return total
    with localcontext(prec=60):
        return (total / len(values)).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def passes(value: Any, tests: dict[str, Any], type_: type) -> bool:
    return all(_passes(value, operator, operand, type_) for operator, operand in tests.items())


def _passes(value: Any, operator: str, operand: Any, type_: type) -> bool:
    if operator == "isNull":
        return (value is None) is operand
    if operator in {"ne", "notIn"}:
        return not _passes(value, "eq" if operator == "ne" else "in", operand, type_)
    if operator == "in":
        return value in [read(each, type_) for each in as_list(operand)]
    if value is None:
        return False
    operand = read(operand, type_)
    if operator.endswith("IgnoreCase"):
        value, operand = lower(value), lower(operand)
        operator = operator.removesuffix("IgnoreCase")
    checks: dict[str, Callable[[], bool]] = {
        "eq": lambda: value == operand,
        "lt": lambda: value < operand,
        "lte": lambda: value <= operand,
        "gt": lambda: value > operand,
        "gte": lambda: value >= operand,
        "contains": lambda: operand in value,
        "startsWith": lambda: value.startswith(operand),
        "endsWith": lambda: value.endswith(operand),
    }
    return checks[operator]()


def lower(text: str) -> str:
    """Character by character, as UnicodeData.txt has it: one for one, without regard to others."""
    return "".join("i" if char == "İ" else char.lower() for char in text)


def read(value: Any, type_: type) -> Any:
    """A value from its JSON."""
    if type_ is datetime:
        return datetime.fromisoformat(value)
    if issubclass(type_, References):
        return _key(value)
    return type_(value) if type_ in {Decimal, BigInt} else value


def as_list(value: Any) -> list[Any]:
    """GraphQL takes one value for a list of it, and null for a list that is not given."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _keys_of(tests: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [_key(text) for text in as_list(value)] if name in {"in", "notIn"} else _key(value)
        for name, value in tests.items()
    }


def _key(global_id: str) -> int:
    return int(b64decode(global_id).decode().split(":")[1])
