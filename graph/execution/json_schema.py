"""JSON Schema (2020-12) of a schema's input types, for variables, and of its leaves, in answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
)

from graph.schema.scalars import client_type

if TYPE_CHECKING:
    from graphql import GraphQLNamedType

_INT4 = 2**31
_SPECIFIED: dict[str, dict[str, Any]] = {
    "Boolean": {"type": "boolean"},
    "Float": {"type": "number"},
    "ID": {"type": ["string", "integer"]},
    "Int": {"type": "integer", "minimum": -_INT4, "maximum": _INT4 - 1},
    "String": {"type": "string"},
}


class JsonSchemas:
    """Schemas of input types; `definitions` are those of the input objects that they refer to."""

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}

    def of(self, type_: Any) -> dict[str, Any]:
        """The schema of a type, which may be null unless it is non-null."""
        if isinstance(type_, GraphQLNonNull):
            return self._of_value(type_.of_type)
        return {"anyOf": [self._of_value(type_), {"type": "null"}]}

    def _of_value(self, type_: Any) -> dict[str, Any]:
        match type_:
            case GraphQLList():
                return {"type": "array", "items": self.of(type_.of_type)}
            case GraphQLEnumType():
                return _enum(type_)
            case GraphQLInputObjectType():
                if type_.name not in self.definitions:
                    self.definitions[type_.name] = {}  # it may refer to itself
                    self.definitions[type_.name] = self._of_object(type_)
                return {"$ref": f"#/$defs/{type_.name}"}
        return self._of_scalar(type_)

    def _of_scalar(self, type_: GraphQLNamedType) -> dict[str, Any]:
        if type_.name in _SPECIFIED:
            return _SPECIFIED[type_.name]
        return described(client_type(type_.name).json_schema, type_.description)

    def _of_object(self, type_: GraphQLInputObjectType) -> dict[str, Any]:
        # A member of `@oneOf` is nullable only so that it can be left out.
        members = {
            name: described(
                self._of_value(field.type) if type_.is_one_of else self.of(field.type),
                field.description,
            )
            | _default(field.default_value)
            for name, field in type_.fields.items()
        }
        required = [name for name, field in type_.fields.items() if is_required_input_field(field)]
        one = {"minProperties": 1, "maxProperties": 1} if type_.is_one_of else {}
        object_ = {
            "type": "object",
            "properties": members,
            "required": required,
            "additionalProperties": False,
        }
        return described(object_ | one, type_.description)


def answer_leaf(type_: GraphQLNamedType) -> dict[str, Any]:
    """The schema of the values of a scalar or an enum in an answer."""
    if isinstance(type_, GraphQLEnumType):
        return _enum(type_)
    if type_.name == "ID":
        return {"type": "string"}
    return _SPECIFIED.get(type_.name) or client_type(type_.name).answer_schema


def _enum(type_: GraphQLEnumType) -> dict[str, Any]:
    meanings = [
        f"{name}: {value.description}" for name, value in type_.values.items() if value.description
    ]
    values = {"type": "string", "enum": list(type_.values)}
    return described(values, "\n".join([type_.description or "", *meanings]))


def _default(value: object) -> dict[str, Any]:
    """The default value of an input field; one that is no JSON value by itself is left out."""
    return {"default": value} if isinstance(value, bool | int | float | str) else {}


def described(schema: dict[str, Any], text: str | None) -> dict[str, Any]:
    """The schema with this description, before the one that it has."""
    texts = [text.strip() if text else "", schema.get("description", "")]
    description = "\n".join(filter(None, texts))
    return schema | ({"description": description} if description else {})
