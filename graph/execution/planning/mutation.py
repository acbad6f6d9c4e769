"""Compiles a mutation: what is known of its fields before their changes are made.

A declared mutation is a call of its rule, so graphql-core's executor is not needed for it: its
arguments are coerced and checked, and of its payload one statement reads the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from graphql import get_named_type

from graph.execution.planning.access import Access
from graph.execution.planning.compile import compile_payload
from graph.execution.planning.cost import PriceList
from graph.execution.planning.inputs import is_readable, values_of
from graph.execution.planning.plain import member
from graph.schema.payloads import DeclaredMutation
from graph.selection import Key, Mutate, ToOne

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import GraphQLNamedInputType, GraphQLObjectType, GraphQLSchema

    from graph.execution.planning.compile import ResponseTemplate
    from graph.execution.planning.plan import Plan
    from graph.selection import Payload, Value


@dataclass(frozen=True, slots=True)
class CompiledPayload:
    """The selection of a payload. One statement reads its rows, by their keys in the payload."""

    template: ResponseTemplate
    _selected: Payload
    _type: GraphQLObjectType

    def values(self, values: Sequence[Value], success: Any) -> list[Value]:
        """The values for the statement: those of the operation, then the keys of the rows."""
        keys = (
            Key("id", getattr(success, str(field.relationship.source_column)))
            for field in self._selected.fields
            if isinstance(field, ToOne)
        )
        return [*values, *keys]

    def body(self, columns: Sequence[bytes], success: Any) -> bytes:
        """The JSON of the payload, from the statement's columns and its own values."""
        uncompiled = self.template.uncompiled
        if not uncompiled:
            return self.template.body(columns, {})
        texts = {
            field.response_key: orjson.dumps(member(success, self._type, field))
            for field in self._selected.fields
            if field.response_key in uncompiled
        }
        return self.template.body(columns, texts)


@dataclass(frozen=True, slots=True)
class DirectMutation:
    """A field that is run by its rule, without the executor."""

    declared: DeclaredMutation
    payload: CompiledPayload
    _input: GraphQLNamedInputType

    def values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The values that the rule takes: those of the input that were given, by Python name."""
        values: dict[str, Any] = values_of(arguments["input"], self._input)
        return values


class CompiledMutation:
    """A mutation of one shape; lives as long as its operation."""

    def __init__(self, schema: GraphQLSchema, plan: Plan) -> None:
        self.plan = plan
        self.prices = PriceList(plan.charges, plan.scans)
        self.access = Access(plan)
        self._schema = schema
        self._payloads: dict[tuple[str, str], CompiledPayload | None] = {}
        self.direct = {
            root.response_key: self._direct(root) for root in plan.root if isinstance(root, Mutate)
        }

    def payload(self, selected: Mutate, type_name: str) -> CompiledPayload | None:
        """The payload of a type; None if resolvers must answer it."""
        key = selected.response_key, type_name
        if key not in self._payloads:
            self._payloads[key] = self._compiled(selected, type_name)
        return self._payloads[key]

    def _compiled(self, selected: Mutate, type_name: str) -> CompiledPayload | None:
        payload = next((each for each in selected.payloads if each.type == type_name), None)
        template = compile_payload(payload, len(self.plan.values)) if payload else None
        if payload is None or template is None:
            return None
        type_: Any = self._schema.type_map[type_name]
        return CompiledPayload(template, payload, type_)

    def _direct(self, selected: Mutate) -> DirectMutation | None:
        (node, *_) = self.plan.nodes[selected.response_key]
        field = self._schema.mutation_type.fields[node.name.value]  # type: ignore[union-attr]
        definition = field.extensions["strawberry-definition"]
        declared = definition.metadata["more"]
        # Extensions of the field are around its resolver.
        if not isinstance(declared, DeclaredMutation) or definition.extensions:
            return None
        input_ = get_named_type(field.args["input"].type)
        payload = self.payload(selected, declared.success.payload.__name__)
        return (
            DirectMutation(declared, payload, input_) if payload and is_readable(input_) else None
        )
