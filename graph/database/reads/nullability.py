"""Decides from the expression of a computed column whether it can be NULL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter, Case, Cast, Column, Exists, Label, Null, ScalarSelect
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    ColumnClause,
    ExpressionClauseList,
    Grouping,
    UnaryExpression,
)
from sqlalchemy.sql.functions import FunctionElement, count, max, min, sum  # noqa: A004

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

# Over operands that are not NULL, these are not NULL either.
_STRICT = {
    *(operators.add, operators.sub, operators.mul, operators.truediv, operators.floordiv),
    *(operators.mod, operators.neg, operators.concat_op, operators.and_, operators.or_),
    *(operators.eq, operators.ne, operators.lt, operators.le, operators.gt, operators.ge),
    *(operators.like_op, operators.ilike_op, operators.inv),
}
_NEVER_NULL = {
    *(operators.is_, operators.is_not, operators.is_distinct_from, operators.is_not_distinct_from),
    operators.exists,
}
# A literal column is any SQL; these are numbers and texts.
_CONSTANT = re.compile(r"-?[0-9]+(\.[0-9]+)?|'[^']*'|true|false", re.IGNORECASE)
_AGGREGATES = (count, max, min, sum)


def may_be_null(sql: ColumnElement[Any] | Any) -> bool:  # noqa: C901, PLR0911, PLR0912  one each
    """Whether the expression can be NULL; true unless the expression excludes it."""
    match sql:
        case Column():
            return bool(sql.nullable)
        case Null():
            return True
        case BindParameter():
            return sql.value is None
        case ColumnClause():
            return not (sql.is_literal and _CONSTANT.fullmatch(sql.name))
        case Label() | Grouping():
            return may_be_null(sql.element)
        case Cast():
            return may_be_null(sql.clause)
        case Exists() | count():
            return False
        case Case():
            otherwise = [sql.else_] if sql.else_ is not None else [Null()]
            return any(
                may_be_null(value) for value in (*(then for _, then in sql.whens), *otherwise)
            )
        case FunctionElement(name="coalesce"):
            return all(map(may_be_null, sql.clauses))
        case BinaryExpression():
            return _of_operator(sql.operator, [sql.left, sql.right])
        case UnaryExpression():
            return _of_operator(sql.operator, [sql.element])
        case ExpressionClauseList():
            return _of_operator(sql.operator, list(sql.clauses))
        case ScalarSelect():
            return _of_select(sql.element)
    return True


def _of_operator(operator: Any, operands: list[Any]) -> bool:
    if operator in _NEVER_NULL:
        return False
    return operator not in _STRICT or any(map(may_be_null, operands))


def _of_select(found: Any) -> bool:
    """A sub-select of an aggregate always has one row; any other may have none."""
    (value,) = found.selected_columns
    has_one_row = not (found._group_by_clauses or found._having_criteria)  # noqa: SLF001
    has_one_row &= found._limit_clause is None and found._offset_clause is None  # noqa: SLF001
    return not (has_one_row and _is_aggregate(value)) or may_be_null(value)


def _is_aggregate(sql: Any) -> bool:
    match sql:
        case Label() | Grouping():
            return _is_aggregate(sql.element)
        case Cast():
            return _is_aggregate(sql.clause)
        case FunctionElement(name="coalesce"):
            return any(map(_is_aggregate, sql.clauses))
    return isinstance(sql, _AGGREGATES)
