"""Turns an operation into selections: the requested fields as plain data.

graphql-core's own field collection flattens fragments and type conditions, merges fields and
applies `@skip` and `@include`. The declaration of each field has its meaning
(`graph.schema.fields`). The result is a plan: for each path of the answer that needs rows, the
selection there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields

from graph.database import relationships
from graph.database.catalog import catalog
from graph.errors import RequestError
from graph.execution.planning.arguments import (
    grouping_of,
    id_of,
    ids_of,
    limit_of,
    lookup_key_of,
)
from graph.execution.planning.charges import Charges
from graph.execution.planning.deferral import initial_count, is_deferred
from graph.execution.planning.pages import PageReader, found_page_of
from graph.execution.planning.plain import texts_of
from graph.execution.planning.plan import Plan, SelectedField, group_key_of, measure_of
from graph.schema.fields import Meaning, meaning_of
from graph.schema.node import ENTITIES
from graph.schema.resolvers import needed_columns
from graph.selection import (
    Aggregates,
    Arguments,
    Column,
    Connection,
    CountUpTo,
    EdgeCursor,
    EdgeList,
    EdgeNode,
    EnumLookup,
    GlobalId,
    Grouping,
    Groups,
    Ids,
    Key,
    Limit,
    Mutate,
    NodeList,
    Nodes,
    Page,
    PageInfo,
    Payload,
    Plain,
    Resolved,
    Selection,
    TermOf,
    Terms,
    ToOne,
    TotalCount,
    Typename,
    Variants,
    searches_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import (
        FragmentDefinitionNode,
        GraphQLSchema,
        OperationDefinitionNode,
    )
    from graphql.execution.collect_fields import FieldDetails
    from graphql.execution.values import VariableValues

    from graph.selection import Term

F = TypeVar("F", ToOne, Connection, Nodes, CountUpTo, Aggregates, Groups, TermOf)
V = TypeVar("V", Page, Key, Ids, Limit, Grouping, Arguments)


def select(
    schema: GraphQLSchema,
    fragments: Mapping[str, FragmentDefinitionNode],
    operation: OperationDefinitionNode,
    variables: VariableValues,
) -> Plan:
    """Walk an operation once, and check all of its arguments."""
    return _Selector(schema, fragments, operation, variables).select_root()


class _Selector:
    def __init__(
        self,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        operation: OperationDefinitionNode,
        variables: VariableValues,
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._variables = variables
        self._fragments = {name: FragmentDetails(node) for name, node in fragments.items()}
        self._plan = Plan()
        self._charges = Charges(self._plan)

    def select_root(self) -> Plan:
        root = self._schema.get_root_type(self._operation.operation)
        assert root is not None  # noqa: S101  validation has seen to it
        collected = collect_fields(
            self._schema, self._fragments, self._variables, root, self._operation
        )
        self._charges.add_parts((), len(collected.new_defer_usages))
        for key, details in collected.grouped_field_set.items():
            self._plan.root.append(self._field(root, key, details, None))
            self._plan.nodes[key] = [detail.node for detail in details]
        return replace(self._plan, selected=self._charges.fields)

    def _field(
        self,
        parent: GraphQLObjectType,
        key: str,
        details: list[FieldDetails],
        above: SelectedField | None,
    ) -> Any:
        self._charges.count(len(details))
        name = details[0].node.name.value
        if name == "__typename":
            return Typename(key, parent.name)
        definition = self._schema.get_field(parent, name)
        assert definition is not None  # noqa: S101  validation has seen to it
        declared = definition.extensions.get("strawberry-definition")
        selected = SelectedField(
            response_key=key,
            path=(*(above.path if above else ()), (parent.name, key)),
            name=getattr(declared, "python_name", name),
            parent=parent,
            definition=definition,
            details=details,
            above=above,
            type=get_named_type(definition.type),
            meaning=meaning_of(declared),
        )
        self._charges.add(selected)
        self._note_parts(selected)
        if selected.meaning is None:
            return self._resolved(selected)
        return self._SELECTS[selected.meaning](self, selected)

    def _note_parts(self, selected: SelectedField) -> None:
        """Record whether the field, or elements of its list, may come in a later part."""
        if is_deferred(selected):
            self._plan.deferred.add(selected.keys)
        first = self._checked(selected, partial(initial_count, selected, self._variables), None)
        if first is not None:
            self._plan.streamed[selected.keys] = first

    def _fields(self, selected: SelectedField, type_: GraphQLObjectType) -> tuple[Any, ...]:
        """The selection of an object of this type, in the order of the answer."""
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, selected.details
        )
        self._charges.add_parts(selected.path, len(collected.new_defer_usages))
        return tuple(
            self._field(type_, key, details, selected)
            for key, details in collected.grouped_field_set.items()
        )

    def _rows(self, selected: SelectedField) -> Any:
        if is_abstract_type(selected.type):
            return Variants(self._variants(selected))
        return Selection(selected.type.name, self._fields(selected, selected.type))

    def _variants(self, selected: SelectedField) -> tuple[Selection, ...]:
        possible = self._schema.get_possible_types(selected.type)
        return tuple(Selection(type_.name, self._fields(selected, type_)) for type_ in possible)

    def _relationship(self, selected: SelectedField) -> ToOne:
        relationship = relationships.relationship(selected.parent.name, selected.name)
        return self._planned(
            selected, ToOne(selected.response_key, relationship, self._rows(selected))
        )

    def _lookup(self, selected: SelectedField) -> ToOne:
        entity = selected.type.name
        argument_index, key = self._value(
            selected, lambda arguments: lookup_key_of(arguments, entity), Key("id", 0)
        )
        relationship = relationships.lookup(entity, key.column)
        return self._planned(
            selected,
            ToOne(selected.response_key, relationship, self._rows(selected), argument_index),
        )

    def _connection(self, selected: SelectedField) -> Connection:
        if selected.parent.name in ENTITIES:
            relationship = relationships.relationship(selected.parent.name, selected.name)
        else:
            relationship = relationships.every(_element_of(selected.type))
        argument_index, page = self._value(
            selected,
            PageReader(relationship.target, selected.more, selected.variables),
            Page(),
        )
        self._charges.add_searches(selected, searches_in(page.where))
        parts = self._fields(selected, selected.type)
        shape = page.shape
        found = Connection(selected.response_key, relationship, argument_index, shape, parts)
        self._charges.add_scan(selected, found)
        return self._planned(selected, found)

    def _search(self, selected: SelectedField) -> Connection:
        union = _element_of(selected.type)
        argument_index, page = self._value(
            selected, lambda arguments: found_page_of(arguments, union), Page()
        )
        parts = self._fields(selected, selected.type)
        every, shape = relationships.every(union), page.shape
        found = Connection(selected.response_key, every, argument_index, shape, parts)
        self._charges.add_scan(selected, found)
        return self._planned(selected, found)

    def _count(self, selected: SelectedField) -> CountUpTo:
        argument_index, _ = self._value(selected, limit_of, Limit(1))
        return self._planned(
            selected,
            CountUpTo(selected.response_key, argument_index, self._fields(selected, selected.type)),
        )

    def _aggregates(self, selected: SelectedField) -> Aggregates:
        return self._planned(
            selected, Aggregates(selected.response_key, self._fields(selected, selected.type))
        )

    def _groups(self, selected: SelectedField) -> Groups:
        argument_index, grouping = self._value(
            selected, lambda arguments: grouping_of(arguments, selected.entity), Grouping()
        )
        fields = self._fields(selected, selected.type)
        return self._planned(
            selected, Groups(selected.response_key, argument_index, grouping.shape, fields)
        )

    def _term(self, selected: SelectedField, term: Term) -> TermOf:
        return self._planned(selected, TermOf(selected.response_key, term))

    def _nodes(self, selected: SelectedField) -> Nodes:
        entities = {type_.name for type_ in self._schema.get_possible_types(selected.type)}
        is_list = "ids" in selected.definition.args
        read = ids_of if is_list else id_of
        argument_index, _ = self._value(
            selected, lambda arguments: read(arguments, entities), Ids(())
        )
        return self._planned(
            selected,
            Nodes(selected.response_key, argument_index, self._variants(selected), is_list=is_list),
        )

    def _enum_lookup(self, selected: SelectedField) -> EnumLookup:
        choice = selected.more
        fields = self._fields(selected, selected.type)
        texts = texts_of(choice, selected.definition.type, fields)
        return EnumLookup(selected.response_key, choice.column, texts, choice.depends_on)

    def _mutation(self, selected: SelectedField) -> Mutate:
        argument_index, _ = self._value(selected, Arguments, Arguments({}))
        self._charges.add_rows(selected, argument_index)
        possible = self._schema.get_possible_types(selected.type)
        return Mutate(
            selected.response_key,
            argument_index,
            tuple(Payload(type_.name, self._fields(selected, type_)) for type_ in possible),
            needs=catalog.changes.get(selected.name, frozenset()),
        )

    def _reference(self, selected: SelectedField) -> ToOne:
        relationship = relationships.reference(
            selected.parent.name,
            selected.name,
            selected.type.name,
            is_optional=not is_non_null_type(selected.definition.type),
        )
        return self._planned(
            selected, ToOne(selected.response_key, relationship, self._rows(selected))
        )

    def _current(self, selected: SelectedField) -> Nodes:
        """A row of any entity, which is known only after the mutation was refused."""
        possible = self._schema.get_possible_types(selected.type)
        to = tuple(Selection(type_.name, self._fields(selected, type_)) for type_ in possible)
        return self._planned(selected, Nodes(selected.response_key, -1, to, is_list=False))

    def _resolved(self, selected: SelectedField) -> Resolved:
        """A field with a Python resolver; its value may still have relationships."""
        argument_index, _ = self._value(selected, Arguments, Arguments({}))
        possible = (
            self._schema.get_possible_types(selected.type)
            if is_abstract_type(selected.type)
            else [selected.type]
        )
        values = tuple(
            (Selection if type_.name in ENTITIES else Payload)(
                type_.name, self._fields(selected, type_)
            )
            for type_ in possible
            if isinstance(type_, GraphQLObjectType)
        )
        is_mutation = selected.parent is self._schema.mutation_type
        self._plan.resolvers[argument_index] = selected
        return Resolved(
            selected.response_key,
            f"{selected.parent.name}.{selected.details[0].node.name.value}",
            argument_index,
            values,
            catalog.changes.get(selected.name, frozenset()) if is_mutation else frozenset(),
            needed_columns(selected.definition.extensions.get("strawberry-definition")),
        )

    def _planned(self, selected: SelectedField, follows: F) -> F:
        self._plan.fields[selected.path] = follows
        return follows

    def _value(
        self, selected: SelectedField, read: Callable[[dict[str, Any]], V], otherwise: V
    ) -> tuple[int, V]:
        """The next argument index, with the field's values there."""
        arguments = selected.reader()

        def recipe(variables: VariableValues) -> V:
            return read(arguments(variables))

        value = self._checked(selected, lambda: recipe(self._variables), otherwise)
        self._plan.values.append(value)
        self._plan.recipes.append(None if selected.is_fixed else recipe)
        return len(self._plan.values) - 1, value

    def _checked(self, selected: SelectedField, check: Callable[[], Any], otherwise: Any) -> Any:
        """The result of a check of arguments; an error is recorded, and the walk continues."""
        try:
            return check()
        except (RequestError, GraphQLError) as error:
            nodes = [details.node for details in selected.details]
            path = [key for _, key in selected.path]
            message = getattr(error, "message", None) or str(error)
            self._plan.errors.append(
                GraphQLError(message, nodes=nodes, path=path, original_error=error)
            )
            return otherwise

    # By the field's meaning; kept on the class, so that a plan leaves no cycle behind.
    _SELECTS: ClassVar[dict[Meaning, Callable[[_Selector, SelectedField], Any]]] = {
        Meaning.COLUMN: lambda _, at: Column(at.response_key, at.name),
        Meaning.GLOBAL_ID: lambda _, at: GlobalId(at.response_key),
        Meaning.TO_ONE: _relationship,
        Meaning.CONNECTION: _connection,
        Meaning.LOOKUP: _lookup,
        Meaning.NODE: _nodes,
        Meaning.NODES: _nodes,
        Meaning.NODE_LIST: lambda self, at: NodeList(at.response_key, self._rows(at)),
        Meaning.EDGE_LIST: lambda self, at: EdgeList(at.response_key, self._fields(at, at.type)),
        Meaning.PAGE_INFO: lambda self, at: PageInfo(at.response_key, self._fields(at, at.type)),
        Meaning.TOTAL_COUNT: lambda _, at: TotalCount(at.response_key),
        Meaning.SEARCH: _search,
        Meaning.COUNT: _count,
        Meaning.AGGREGATES: _aggregates,
        Meaning.GROUPS: _groups,
        Meaning.TERMS: lambda self, at: Terms(at.response_key, self._fields(at, at.type)),
        Meaning.MEASURE: lambda self, at: self._term(at, measure_of(at)),
        Meaning.GROUP_KEY: lambda self, at: self._term(at, group_key_of(at)),
        Meaning.EDGE_NODE: lambda self, at: EdgeNode(at.response_key, self._rows(at)),
        Meaning.EDGE_CURSOR: lambda _, at: EdgeCursor(at.response_key),
        Meaning.ENUM_LOOKUP: _enum_lookup,
        Meaning.PLAIN: lambda self, at: Plain(at.response_key, at.name, self._fields(at, at.type)),
        Meaning.MUTATION: _mutation,
        Meaning.REFERENCE: _reference,
        Meaning.CURRENT: _current,
    }


def _element_of(connection: GraphQLObjectType) -> str:
    """The name of the type, or the union, that a connection lists."""
    name: str = get_named_type(connection.fields["nodes"].type).name
    return name
