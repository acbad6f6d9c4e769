"""Coerces JSON values to input types (specification, section 3), where they fit.

A coercer returns Undefined for any value that does not fit, or that is rare: graphql-core judges it
then, and reports what is wrong. Where it returns a value, `coerce_input_value` returns the same.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLInputObjectType,
    GraphQLNonNull,
    Undefined,
    is_input_object_type,
    is_list_type,
    is_required_input_field,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLEnumType, GraphQLInputType, GraphQLScalarType

# Returns the coerced value, or Undefined.
Coercer: TypeAlias = "Callable[[Any], Any]"


def _text(value: Any) -> Any:
    return value if type(value) is str else Undefined


def _boolean(value: Any) -> Any:
    return value if type(value) is bool else Undefined


def _int(value: Any) -> Any:
    is_int = type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT
    return value if is_int else Undefined


# Of scalars whose values are the same in JSON. None of them takes null.
_COERCERS: dict[str, Coercer] = {"String": _text, "ID": _text, "Boolean": _boolean, "Int": _int}


def coercer_of(type_: GraphQLInputType) -> Coercer:
    """The coercer of a type; it keeps null where the type is nullable."""
    if isinstance(type_, GraphQLNonNull):
        return _coercer_of_values(type_.of_type)
    of_values = _coercer_of_values(type_)
    return lambda value: None if value is None else of_values(value)


def _coercer_of_values(type_: GraphQLInputType) -> Coercer:
    """The coercer of values that are not null; null does not fit."""
    if is_list_type(type_):
        return _coercer_of_list(coercer_of(type_.of_type))
    if is_input_object_type(type_):
        return _object_coercer(type_)
    leaf = cast("GraphQLScalarType | GraphQLEnumType", type_)
    return _COERCERS.get(leaf.name) or _coercer_of_leaf(leaf)


def _coercer_of_list(item: Coercer) -> Coercer:
    def coerce(value: Any) -> Any:
        if type(value) is not list:
            return Undefined
        coerced = [item(each) for each in value]
        return Undefined if Undefined in coerced else coerced

    return coerce


def _coercer_of_leaf(leaf: GraphQLScalarType | GraphQLEnumType) -> Coercer:
    def coerce(value: Any) -> Any:
        if value is None:
            return Undefined
        try:
            return leaf.coerce_input_value(value)
        except Exception:  # noqa: BLE001  a scalar may raise anything; graphql-core reports it
            return Undefined

    return coerce


class _ObjectCoercer:
    """The coercer of an input object. Its fields are read at the first value: types may recur."""

    def __init__(self, type_: GraphQLInputObjectType) -> None:
        self._type = type_
        # Name, name in Python, coercer, whether it is required.
        self._fields: list[tuple[str, str, Coercer, bool]] = []
        self._names: frozenset[str] = frozenset()
        self._defaults: dict[str, Any] = {}

    def __call__(self, value: Any) -> Any:
        if type(value) is not dict:
            return Undefined
        if not self._names:
            self._read_fields()
        if not self._names.issuperset(value):
            return Undefined
        coerced = {}
        for name, out_name, coerce, is_required in self._fields:
            if name in value:
                inner = coerced[out_name] = coerce(value[name])
                if inner is Undefined:
                    return Undefined
            elif is_required:
                return Undefined
            elif name in self._defaults:
                coerced[out_name] = self._defaults[name]
        if self._type.is_one_of and (len(coerced) != 1 or None in coerced.values()):
            return Undefined
        return self._type.out_type(coerced)

    def _read_fields(self) -> None:
        fields = self._type.fields
        self._fields = [
            (
                name,
                field.out_name or name,
                # A default that is written in the schema's language is coerced by graphql-core.
                coercer_of(field.type) if field.default is None else lambda _: Undefined,
                is_required_input_field(field) or field.default is not None,
            )
            for name, field in fields.items()
        ]
        self._defaults = {
            name: field.default_value
            for name, field in fields.items()
            if field.default_value is not Undefined
        }
        self._names = frozenset(fields)


@lru_cache(maxsize=1024)
def _object_coercer(type_: GraphQLInputObjectType) -> _ObjectCoercer:
    return _ObjectCoercer(type_)
