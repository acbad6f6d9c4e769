"""Variables are coerced as graphql-core coerces them, whichever way is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from graphql import OperationDefinitionNode, Undefined, get_variable_values, parse
from hypothesis import given
from hypothesis import strategies as st

from graph.execution.failures import RequestRejected
from graph.execution.planning.variables import Variables
from graph.store.schema import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import VariableDefinitionNode

_SCHEMA = schema._schema  # noqa: SLF001  Strawberry has no other way to it
_LEAVES = (
    "Int",
    "BigInt",
    "String",
    "ID",
    "Boolean",
    "Decimal",
    "DateTime",
    "OrderStatus",
)
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(),
    st.text(max_size=5),
    st.integers(-(2**66), 2**66).map(str),
    st.sampled_from(["17", " 17", "1.50", "PLACED", "placed", "2026-01-31T00:00:00Z", "NaN"]),
    st.lists(st.integers(), max_size=2),
    st.just({"a": 1}),
)


def definitions_of(text: str) -> Sequence[VariableDefinitionNode]:
    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return operation.variable_definitions or ()


@given(
    leaf=st.sampled_from(_LEAVES),
    required=st.booleans(),
    default=st.booleans(),
    variables=st.fixed_dictionaries({}, optional={"a": _VALUES, "b": _VALUES}),
)
def test_every_value_is_coerced_as_by_graphql_core(
    leaf: str, variables: dict[str, Any], *, required: bool, default: bool
) -> None:
    type_ = leaf + ("!" if required else "")
    second = "Int = 3" if default else "String"
    definitions = definitions_of(f"query($a: {type_}, $b: {second}) {{ a }}")
    expected = get_variable_values(_SCHEMA, definitions, variables, 50)
    variables_of_operation = Variables(_SCHEMA, definitions)
    if isinstance(expected, list):
        with pytest.raises(RequestRejected) as rejected:
            variables_of_operation.coerced(variables)
        assert [str(error) for error in rejected.value.errors] == [str(error) for error in expected]
        return
    coerced = variables_of_operation.coerced(variables)
    assert repr(coerced.coerced) == repr(expected.coerced)
    assert [(name, repr(source.value)) for name, source in coerced.sources.items()] == [
        (name, repr(source.value)) for name, source in expected.sources.items()
    ]


_LINES = st.lists(
    st.fixed_dictionaries({}, optional={"itemId": _VALUES, "quantity": _VALUES, "x": _VALUES}),
    max_size=3,
)
_INPUTS = {
    "PlaceOrderInput": {"customerId": _VALUES, "lines": st.one_of(_LINES, _VALUES)},
    "UpdateCustomerInput": {
        "id": st.text(max_size=3),
        "expectedVersion": st.one_of(
            _VALUES, st.fixed_dictionaries({}, optional={"any": _VALUES, "version": _VALUES})
        ),
        "town": _VALUES,
    },
    "ImportCustomersInput": {"rows": st.just([]), "onError": _VALUES},
    "CustomerWhere": {
        "town": st.fixed_dictionaries({}, optional={"eq": _VALUES, "in": _VALUES}),
        "and": st.lists(st.fixed_dictionaries({"not": st.just({"or": []})}), max_size=2),
        "or": _VALUES,
    },
}


@given(data=st.data(), input_=st.sampled_from(sorted(_INPUTS)), required=st.booleans())
def test_every_object_is_coerced_as_by_graphql_core(
    data: st.DataObject, input_: str, *, required: bool
) -> None:
    members = st.fixed_dictionaries({}, optional=_INPUTS[input_])
    variables = data.draw(
        st.fixed_dictionaries({}, optional={"a": st.one_of(members, members, _VALUES)})
    )
    definitions = definitions_of(f"query($a: {input_}{'!' * required}) {{ a }}")
    expected = get_variable_values(_SCHEMA, definitions, variables, 50)
    if isinstance(expected, list):
        with pytest.raises(RequestRejected) as rejected:
            Variables(_SCHEMA, definitions).coerced(variables)
        assert [str(error) for error in rejected.value.errors] == [str(error) for error in expected]
        return
    coerced = Variables(_SCHEMA, definitions).coerced(variables)
    assert repr(coerced.coerced) == repr(expected.coerced)


def test_lists_that_recur_too_deeply_are_refused_by_graphql_core() -> None:
    where: dict[str, Any] = {}
    for _ in range(3_000):
        where = {"not": where}
    definitions = definitions_of("query($a: CustomerWhere) { a }")
    with pytest.raises(RequestRejected) as rejected:
        Variables(_SCHEMA, definitions, of_mutation=True).coerced({"a": where})
    assert "nested too deeply" in str(rejected.value.errors[0])


@pytest.mark.parametrize("leaf", _LEAVES)
def test_a_missing_variable_is_not_null(leaf: str) -> None:
    definitions = definitions_of(f"query($a: {leaf}) {{ a }}")
    coerced = Variables(_SCHEMA, definitions).coerced({})
    assert coerced.coerced == {}
    assert coerced.sources["a"].value is Undefined
