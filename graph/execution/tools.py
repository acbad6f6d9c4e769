"""The operations of a manifest as tools: what each is called, what it takes, and what it runs.

A tool is an operation with a name. Its arguments are the operation's variables. Mutations are dry
runs by default: each gets the argument `dryRun`, in place of what its document says, unless that
makes the field a dry run always.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DocumentNode,
    FieldNode,
    NamedTypeNode,
    NameNode,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    TokenKind,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    type_from_ast,
    value_from_ast_untyped,
    visit,
)

from graph.errors import InvalidSetting
from graph.execution.answer_schema import answer_schema
from graph.execution.documents.document import problems_of
from graph.execution.json_schema import JsonSchemas, described

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import GraphQLSchema

    from graph.execution.documents.document import Documents

DRY_RUN = "dryRun"
_DRY_RUN_DESCRIPTION = (
    "Make the change, return the full result, and roll everything back. False makes the change."
)
_IDEMPOTENT = "idempotent"
_VARIABLE = VariableNode(name=NameNode(value=DRY_RUN))
_ARGUMENT = ArgumentNode(name=NameNode(value=DRY_RUN), value=_VARIABLE)
_DEFINITION = VariableDefinitionNode(
    variable=_VARIABLE,
    type=NonNullTypeNode(type=NamedTypeNode(name=NameNode(value="Boolean"))),
    default_value=BooleanValueNode(value=True),
)


@dataclass(frozen=True, slots=True)
class Tool:
    """An operation that a client of the Model Context Protocol can run."""

    name: str
    description: str
    # The JSON Schemas of the arguments, and of the result: the answer's data, or its errors.
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    # The document that is executed; the operation in it has the tool's name.
    text: str
    is_mutation: bool
    # Whether each of its fields has `@idempotent`.
    is_idempotent: bool


def tools_of(schema: GraphQLSchema, texts: Mapping[str, str], documents: Documents) -> list[Tool]:
    """The tools of a manifest, by name; its subscriptions are left out.

    Raises:
        InvalidSetting: a document is not valid for the schema, an operation has no name or that of
            another one, or a mutation cannot be a dry run.
    """
    _check(documents, texts)
    tools: dict[str, Tool] = {}
    for text in dict.fromkeys(texts.values()):
        for tool in _tools_in(schema, text):
            if tool.name in tools:
                raise _invalid(f"two operations have the name {tool.name}")
            _check(documents, {tool.name: tool.text})
            tools[tool.name] = tool
    return [tools[name] for name in sorted(tools)]


def _tools_in(schema: GraphQLSchema, text: str) -> Iterator[Tool]:
    document = parse(text)
    run_dry = _dry_run(schema, document)
    run_text = print_ast(run_dry)
    changed = [each for each in run_dry.definitions if isinstance(each, OperationDefinitionNode)]
    given = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    for before, operation in zip(given, changed, strict=True):
        if operation.name is None:
            raise _invalid("a tool is an operation with a name, and one has none")
        if operation.operation is not OperationType.SUBSCRIPTION:
            is_mutation = operation.operation is OperationType.MUTATION
            yield Tool(
                operation.name.value,
                _description(schema, before),
                _input_schema(schema, run_dry, operation),
                answer_schema(schema, run_dry, operation),
                run_text,
                is_mutation=is_mutation,
                is_idempotent=is_mutation and _has_keys(operation),
            )


class _DryRuns(Visitor):
    """Gives each field of a mutation the argument `dryRun: $dryRun`."""

    def __init__(self, schema: GraphQLSchema, info: TypeInfo) -> None:
        super().__init__()
        self._mutation, self._info = schema.mutation_type, info
        self.has_changed = False

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if self._mutation is None or self._info.get_parent_type() is not self._mutation:
            return None
        field = self._mutation.fields.get(node.name.value)
        if field is None:  # __typename
            return None
        if DRY_RUN not in field.args:
            raise _invalid(f"{node.name.value} has no dry run, so it cannot be a tool")
        given = {each.name.value: each for each in node.arguments or ()}
        fixed = given.get(DRY_RUN)
        if fixed and isinstance(fixed.value, BooleanValueNode) and fixed.value.value:
            return None
        self.has_changed = True
        return replace(node, arguments=tuple((given | {DRY_RUN: _ARGUMENT}).values()))


def _dry_run(schema: GraphQLSchema, document: DocumentNode) -> DocumentNode:
    """The document with `$dryRun: Boolean! = true` for each mutation that can make a change."""
    info = TypeInfo(schema)
    dry_runs = _DryRuns(schema, info)
    changed: DocumentNode = visit(document, TypeInfoVisitor(info, dry_runs))
    if not dry_runs.has_changed:
        return document
    # A variable that only a `dryRun` had is not used any more.
    used = _used_variables(changed)
    return replace(
        changed,
        definitions=tuple(_with_dry_run(definition, used) for definition in changed.definitions),
    )


def _with_dry_run(definition: Any, used: set[str]) -> Any:
    if getattr(definition, "operation", None) is not OperationType.MUTATION:
        return definition
    kept = [
        each
        for each in definition.variable_definitions
        if each.variable.name.value in used - {DRY_RUN}
    ]
    return replace(definition, variable_definitions=(*kept, _DEFINITION))


def _used_variables(document: DocumentNode) -> set[str]:
    names = set[str]()

    class Names(Visitor):
        def enter_variable_definition(self, *_: Any) -> Any:
            return self.SKIP

        def enter_variable(self, node: VariableNode, *_: Any) -> None:
            names.add(node.name.value)

    visit(document, Names())
    return names


def _input_schema(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> dict[str, Any]:
    schemas = JsonSchemas()
    descriptions = _argument_descriptions(schema, document) | {DRY_RUN: _DRY_RUN_DESCRIPTION}
    properties, required = {}, []
    for each in operation.variable_definitions or ():
        name = each.variable.name.value
        own = getattr(each, "description", None)
        properties[name] = described(
            schemas.of(type_from_ast(schema, each.type)),
            own.value if own else descriptions.get(name),
        )
        if each.default_value is not None:
            properties[name]["default"] = value_from_ast_untyped(each.default_value)
        elif isinstance(each.type, NonNullTypeNode):
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **({"$defs": schemas.definitions} if schemas.definitions else {}),
    }


def _argument_descriptions(schema: GraphQLSchema, document: DocumentNode) -> dict[str, str]:
    """By variable: the description of the argument that it is the value of."""
    info = TypeInfo(schema)
    found: dict[str, str] = {}

    class Arguments(Visitor):
        def enter_argument(self, node: ArgumentNode, *_: Any) -> None:
            argument = info.get_argument()
            if isinstance(node.value, VariableNode) and argument and argument.description:
                found.setdefault(node.value.name.value, argument.description)

    visit(document, TypeInfoVisitor(info, Arguments()))
    return found


def _description(schema: GraphQLSchema, operation: OperationDefinitionNode) -> str:
    """The operation's description, the comment above it, or the descriptions of its fields."""
    own = getattr(operation, "description", None)
    if own:
        return str(own.value).strip()
    if comment := _comment_above(operation):
        return comment
    root = schema.get_root_type(operation.operation)
    fields = root.fields if root else {}
    names = [
        each.name.value
        for each in operation.selection_set.selections
        if isinstance(each, FieldNode)
    ]
    texts = [fields[name].description for name in names if name in fields]
    return "\n".join(text for text in texts if text)


def _comment_above(operation: OperationDefinitionNode) -> str:
    lines: list[str] = []
    token = operation.loc.start_token.prev if operation.loc else None
    while token is not None and token.kind is TokenKind.COMMENT:
        lines.insert(0, (token.value or "").strip())
        token = token.prev
    return "\n".join(lines)


def _has_keys(operation: OperationDefinitionNode) -> bool:
    return all(
        any(each.name.value == _IDEMPOTENT for each in selection.directives or ())
        for selection in operation.selection_set.selections
        if not (isinstance(selection, FieldNode) and selection.name.value == "__typename")
    )


def _check(documents: Documents, texts: Mapping[str, str]) -> None:
    for problem in problems_of(documents, texts):
        raise _invalid(problem.removesuffix("."))


def _invalid(problem: str) -> InvalidSetting:
    return InvalidSetting("GRAPH_DOCUMENTS_MANIFEST", problem)
