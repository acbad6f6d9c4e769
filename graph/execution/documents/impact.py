"""What a change of the schema means for documents that clients have.

A document breaks if the new schema refuses it; or if it stays valid, but a breaking change is one
of what it uses: a field that may be null now, an input that has a new required member. What
variables hold is not known, so a member or value that was removed from an input breaks each
document that takes this input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    GraphQLInputObjectType,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    Visitor,
    get_named_type,
    is_abstract_type,
    is_enum_type,
    parse,
    type_from_ast,
    visit,
)

from graph.execution.documents.document import Documents, problems_of
from graph.execution.schema_changes import Change, Severity, changes_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import DocumentNode, GraphQLSchema

# A schema coordinate in the description of a change: Type, Type.field or Type.field(argument:). The
# types that stand behind "changed ... from" are not what changes.
_COORDINATE = re.compile(r"\w+(?:\.\w+(?:\(\w+:\))?)?")
_CHANGED = " changed "


@dataclass(frozen=True, slots=True)
class Impact:
    """The changes that touch one document; each is a line of text."""

    id: str
    # Such as `query Items`; those without a name are left out.
    operations: tuple[str, ...]
    breaking: tuple[str, ...]
    dangerous: tuple[str, ...]
    # Whether the old schema refuses it already; then nothing else is said.
    was_invalid: bool = False

    @property
    def name(self) -> str:
        """The operations, or the id if they have no names."""
        return ", ".join(self.operations) or self.id


class Comparison:
    """Two schemas, and what going from one to the other does to documents."""

    def __init__(self, before: GraphQLSchema, after: GraphQLSchema) -> None:
        self._schema = before
        self._before, self._after = Documents(before), Documents(after)
        self._changes = [
            (change, frozenset(_COORDINATE.findall(change.description.partition(_CHANGED)[0])))
            for change in changes_between(before, after)
            if change.severity is not Severity.SAFE
        ]

    def impact(self, id_: str, text: str) -> Impact:
        if problems_of(self._before, {id_: text}):
            return Impact(id_, (), (), (), was_invalid=True)
        document = parse(text, no_location=True)
        refused = [line.removeprefix(f"{id_}: ") for line in problems_of(self._after, {id_: text})]
        touching = list(self._touching(document))
        breaking = refused or _of(touching, Severity.BREAKING)
        dangerous = _of(touching, Severity.DANGEROUS)
        return Impact(id_, _operations_in(document), tuple(breaking), tuple(dangerous))

    def _touching(self, document: DocumentNode) -> Iterator[Change]:
        used = _Used(self._schema)
        visit(document, TypeInfoVisitor(used.type_info, used))
        for change, coordinates in self._changes:
            types = {coordinate.partition(".")[0] for coordinate in coordinates}
            if (
                coordinates & used.fields
                or types & used.outputs
                or (types & used.inputs and not _is_addition(change))
            ):
                yield change


class _Used(Visitor):
    """The coordinates that a document names, and the types of which it may meet any part.

    `outputs` are enums, unions and interfaces; `inputs` are all that its variables can hold.
    """

    def __init__(self, schema: GraphQLSchema) -> None:
        super().__init__()
        self.type_info = TypeInfo(schema)
        self.fields: set[str] = set()
        self.outputs: set[str] = set()
        self.inputs: set[str] = set()
        self._schema = schema

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent, type_ = self.type_info.get_parent_type(), self.type_info.get_type()
        if parent is None or type_ is None or node.name.value.startswith("__"):
            return
        # A field of an interface is one of each type that has the interface.
        owners = self._schema.get_possible_types(parent) if is_abstract_type(parent) else ()
        for owner in (parent, *owners):
            field = f"{owner.name}.{node.name.value}"
            self.fields.add(field)
            self.fields |= {f"{field}({argument.name.value}:)" for argument in node.arguments or ()}
        named = get_named_type(type_)
        if is_enum_type(named) or is_abstract_type(named):
            self.outputs.add(named.name)

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self._take(get_named_type(type_from_ast(self._schema, node.type)))

    def _take(self, type_: Any) -> None:
        if type_ is None or type_.name in self.inputs:
            return
        self.inputs.add(type_.name)
        if isinstance(type_, GraphQLInputObjectType):
            for member in type_.fields.values():
                self._take(get_named_type(member.type))


def _operations_in(document: DocumentNode) -> tuple[str, ...]:
    return tuple(
        f"{definition.operation.value} {definition.name.value}"
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode) and definition.name
    )


def _is_addition(change: Change) -> bool:
    return change.severity is Severity.DANGEROUS and change.description.endswith(" was added.")


def _of(changes: Sequence[Change], severity: Severity) -> list[str]:
    return [change.description for change in changes if change.severity is severity]
