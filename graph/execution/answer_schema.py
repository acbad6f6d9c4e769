"""JSON Schema (2020-12) of the answer to an operation, derived from what it selects.

Each member of an object is a response key (specification, section 6.3.2). It is required unless it
depends on a variable, by `@skip` or `@include`. An interface or a union has a schema for each shape
that its types have in the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNonNull,
    InlineFragmentNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    type_from_ast,
)

from graph.execution.json_schema import answer_leaf, described

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from graphql import (
        DocumentNode,
        GraphQLObjectType,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
    )

_TYPENAME = "__typename"
_ERROR = {
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "path": {"type": "array", "items": {"type": ["string", "integer"]}},
        "extensions": {"type": "object"},
    },
    "required": ["message"],
}


class _Selected(NamedTuple):
    """One occurrence of a field. One that is conditional may be left out of the answer."""

    node: FieldNode
    is_conditional: bool


# Selection sets of the same object, and whether each may be left out.
_Sets = list[tuple["SelectionSetNode", bool]]


def answer_schema(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> dict[str, Any]:
    """The schema of an answer's data, or of its errors, beside which there may be data."""
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, FragmentDefinitionNode)
    }
    root = schema.get_root_type(operation.operation)
    data = _Answers(schema, fragments).of_objects(root, [(operation.selection_set, False)])
    failure = _object(
        {
            "errors": {"type": "array", "items": _ERROR, "minItems": 1},
            "data": {"$ref": "#/$defs/data"},
        },
        ["errors"],
    )
    return {
        "type": "object",
        "anyOf": [{"$ref": "#/$defs/data"}, {"$ref": "#/$defs/failure"}],
        "$defs": {"data": data, "failure": failure},
    }


class _Answers:
    """Makes the schemas of what the selections of one valid document return."""

    def __init__(self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments

    def of_objects(self, type_: Any, sets: _Sets) -> dict[str, Any]:
        """The schema of the objects of a type; types of the same shape share one."""
        abstract = is_abstract_type(type_)
        types = self._schema.get_possible_types(type_) if abstract else [type_]
        shapes: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {}
        for each in types:
            selected = self._collected(each, sets)
            names = [key for key, fields in selected.items() if _name(fields) == _TYPENAME]
            shape = self._of_object(each, selected)
            known = shapes.setdefault(json.dumps(shape), (shape, names, []))
            known[2].append(each.name)
        for shape, keys, typenames in shapes.values():
            shape["properties"] |= {key: {"type": "string", "enum": typenames} for key in keys}
        schemas = [shape for shape, _, _ in shapes.values()]
        return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}

    def _of_object(
        self, type_: GraphQLObjectType, selected: dict[str, list[_Selected]]
    ) -> dict[str, Any]:
        """The schema of one type's objects, but for the values of `__typename`."""
        members = {key: self._of_field(type_, fields) for key, fields in selected.items()}
        required = [
            key
            for key, fields in selected.items()
            if not all(field.is_conditional for field in fields)
        ]
        return _object(members, required)

    def _of_field(self, type_: GraphQLObjectType, fields: list[_Selected]) -> dict[str, Any]:
        field = self._schema.get_field(type_, _name(fields))
        assert field is not None  # noqa: S101  the document is valid
        # Whatever one occurrence selects is there whenever the field is.
        is_one = len(fields) == 1
        sets = [
            (each.node.selection_set, each.is_conditional and not is_one)
            for each in fields
            if each.node.selection_set is not None
        ]
        if _name(fields) == _TYPENAME:
            return {}
        return described(self._of_type(field.type, sets), field.description)

    def _of_type(self, type_: Any, sets: _Sets) -> dict[str, Any]:
        if isinstance(type_, GraphQLNonNull):
            return self._of_value(type_.of_type, sets)
        return {"anyOf": [self._of_value(type_, sets), {"type": "null"}]}

    def _of_value(self, type_: Any, sets: _Sets) -> dict[str, Any]:
        if isinstance(type_, GraphQLList):
            return {"type": "array", "items": self._of_type(type_.of_type, sets)}
        if is_composite_type(type_):
            return self.of_objects(type_, sets)
        return answer_leaf(get_named_type(type_))

    def _collected(self, type_: GraphQLObjectType, sets: _Sets) -> dict[str, list[_Selected]]:
        """The fields of an object by response key, in the order of the answer."""
        collected: dict[str, list[_Selected]] = {}
        for selection_set, is_conditional in sets:
            for field in self._fields(type_, selection_set, is_conditional=is_conditional):
                key = (field.node.alias or field.node.name).value
                collected.setdefault(key, []).append(field)
        return collected

    def _fields(
        self, type_: GraphQLObjectType, selection_set: SelectionSetNode, *, is_conditional: bool
    ) -> Iterator[_Selected]:
        for each in selection_set.selections:
            condition = _condition(each.directives or ())
            if condition is False:
                continue
            may_lack = is_conditional or condition is None
            if isinstance(each, FieldNode):
                yield _Selected(each, may_lack)
                continue
            spread = (
                self._fragments[each.name.value] if isinstance(each, FragmentSpreadNode) else each
            )
            assert isinstance(spread, FragmentDefinitionNode | InlineFragmentNode)  # noqa: S101
            if self._applies(spread.type_condition, type_):
                yield from self._fields(type_, spread.selection_set, is_conditional=may_lack)

    def _applies(self, condition: Any, type_: GraphQLObjectType) -> bool:
        if condition is None:
            return True
        wanted: Any = type_from_ast(self._schema, condition)
        return wanted is type_ or (
            is_abstract_type(wanted) and self._schema.is_sub_type(wanted, type_)
        )


def _object(members: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }


def _name(fields: list[_Selected]) -> str:
    """The name of the field, which all occurrences of one response key have."""
    return fields[0].node.name.value


def _condition(directives: Iterable[Any]) -> bool | None:
    """Whether `@skip` and `@include` select; None if a variable decides."""
    found: bool | None = True
    for each in directives:
        if each.name.value not in {"skip", "include"}:
            continue
        value = each.arguments[0].value
        if not isinstance(value, BooleanValueNode):
            found = found and None
        elif value.value is (each.name.value == "skip"):
            return False
    return found
