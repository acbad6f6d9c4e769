"""The part of a schema that a role can use: `graph schema --as ROLE`.

One schema is served to everybody. This one is for generators of code and documentation: it leaves
out the fields, filters, sorts and mutations that would be refused, and all that is used by nothing
else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from graphql import (
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ListTypeNode,
    NamedTypeNode,
    NonNullTypeNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
    SchemaDefinitionNode,
    UnionTypeDefinitionNode,
    parse,
    print_ast,
    specified_scalar_types,
)
from strawberry.utils.str_converters import to_camel_case

from graph.database.catalog import catalog
from graph.database.worlds import world_of
from graph.schema.entities import entity_of
from graph.schema.node import ENTITIES
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from graph.database.worlds import World

_ROOTS = ("Query", "Mutation")


def view_for(text: str, permissions: frozenset[str]) -> str:
    """The schema in `text`, without what a viewer with these permissions may not use."""
    viewer = Viewer(may=permissions)
    world = world_of(viewer)
    document = parse(text)
    definitions: list[Any] = [each for each in document.definitions if _is_type(each)]
    types = {each.name.value: each for each in definitions}
    entities = ENTITIES.keys() & types.keys()
    hidden = {name: set(_hidden_fields(name, world)) for name in entities}
    types = {
        name: _without(node, hidden.get(entity, ()))
        for name, node in types.items()
        if not world.is_closed(entity := _entity_of(name, entities))
    }
    if "Mutation" in types:
        types["Mutation"] = _without(types["Mutation"], set(_forbidden_changes(viewer)))
    types = _used(_consistent(types))
    kept = (_kept(node, types) for node in document.definitions)
    return print_ast(DocumentNode(definitions=tuple(node for node in kept if node))) + "\n"


def _kept(node: Any, types: Mapping[str, Any]) -> Any:
    """What is left of a definition; None if nothing is."""
    match node:
        case DirectiveDefinitionNode():
            return node
        case SchemaDefinitionNode():
            roots = [root for root in node.operation_types if root.type.name.value in types]
            return replace(node, operation_types=tuple(roots))
    return types.get(node.name.value)


def _is_type(node: Any) -> bool:
    return not isinstance(node, DirectiveDefinitionNode | SchemaDefinitionNode)


def _entity_of(type_: str, entities: Collection[str]) -> str:
    """The entity that a type is made from, by the beginning of its name; or ""."""
    found = [name for name in entities if type_.startswith(name)]
    return max(found, key=len, default="")


def _hidden_fields(entity: str, world: World) -> Iterator[str]:
    """The fields of the columns that the world hides, also as values of enums."""
    for field, column in entity_of(entity).columns.items():
        if world.hides(entity, column.name):
            yield field
            yield column.name.upper()


def _forbidden_changes(viewer: Viewer) -> Iterator[str]:
    for name, needs in catalog.changes.items():
        if not viewer.has(needs):
            yield to_camel_case(name)


def _without(node: Any, names: Collection[str]) -> Any:
    """A type without the members of these names."""
    match node:
        case EnumTypeDefinitionNode():
            return replace(node, values=_others(node.values, names))
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            return replace(node, fields=_others(node.fields, names))
        case InputObjectTypeDefinitionNode():
            return replace(node, fields=_others(node.fields, names))
    return node


def _others(members: Any, names: Collection[str]) -> tuple[Any, ...]:
    return tuple(each for each in members or () if each.name.value not in names)


def _consistent(types: dict[str, Any]) -> dict[str, Any]:
    """Leave out what names a type that is left out, and types without members, to the end."""
    while True:
        known = types.keys() | specified_scalar_types.keys()
        found = {name: _of_known(node, known) for name, node in types.items()}
        found = {name: node for name, node in found.items() if _has_members(node)}
        if found == types:
            return types
        types = found


def _of_known(node: Any, known: Collection[str]) -> Any:
    match node:
        case UnionTypeDefinitionNode():
            kept = tuple(each for each in node.types or () if each.name.value in known)
            return replace(node, types=kept)
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            fields = (
                replace(field, arguments=_of_types(field.arguments, known))
                for field in _of_types(node.fields, known)
            )
            return replace(node, fields=tuple(fields))
        case InputObjectTypeDefinitionNode():
            return replace(node, fields=_of_types(node.fields, known))
    return node


def _of_types(members: Any, known: Collection[str]) -> tuple[Any, ...]:
    return tuple(each for each in members or () if _named(each.type) in known)


def _named(type_: Any) -> str:
    while isinstance(type_, ListTypeNode | NonNullTypeNode):
        type_ = type_.type
    assert isinstance(type_, NamedTypeNode)  # noqa: S101  nothing else is left
    return type_.name.value


def _has_members(node: Any) -> bool:
    if isinstance(node, ScalarTypeDefinitionNode):
        return True
    return bool(
        getattr(node, "fields", ()) or getattr(node, "types", ()) or getattr(node, "values", ())
    )


def _used(types: Mapping[str, Any]) -> dict[str, Any]:
    """The types that the root types lead to."""
    found: dict[str, Any] = {}
    ahead = [name for name in _ROOTS if name in types]
    while ahead:
        name = ahead.pop()
        if name not in types or name in found:
            continue
        node = found[name] = types[name]
        ahead += _leads_to(node)
        if isinstance(node, InterfaceTypeDefinitionNode):
            ahead += [
                other
                for other, each in types.items()
                if name in {used.name.value for used in getattr(each, "interfaces", ()) or ()}
            ]
    return found


def _leads_to(node: Any) -> Iterator[str]:
    for each in (*(getattr(node, "types", ()) or ()), *(getattr(node, "interfaces", ()) or ())):
        yield each.name.value
    for field in getattr(node, "fields", ()) or ():
        yield _named(field.type)
        for argument in getattr(field, "arguments", ()) or ():
            yield _named(argument.type)
