"""From an operation to selections: what it asks of the store, as plain data.

graphql-core's own field collection flattens fragments and type conditions, merges fields and
applies `@skip` and `@include`; what each field means is said where it is declared
(`graph.schema.fields`). The outcome is a plan: for each place in the answer where rows are needed,
the selection that was made there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from graphql import (
    GraphQLError,
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields

from graph.database import edges
from graph.errors import RequestError, TooLarge
from graph.execution.arguments import (
    found_page_of,
    grouping_of,
    ids_of,
    key_of,
    limit_of,
    page_of,
)
from graph.execution.cost import Charge
from graph.execution.incremental import initial_count, is_deferred
from graph.execution.plain import text_of
from graph.execution.plan import Asked, Plan, group_key_of, measure_of
from graph.schema.caching import NOT_KEPT, hint_of
from graph.schema.costs import SEARCH, assumed_size_of, weight_of
from graph.schema.fields import Meaning
from graph.schema.types import NOUNS
from graph.selection import (
    Aggregates,
    Chosen,
    Column,
    CountUpTo,
    EdgeCursor,
    EdgeList,
    EdgeNode,
    GlobalId,
    Grouping,
    Groups,
    Ids,
    Key,
    Limit,
    Many,
    Mutate,
    NodeList,
    Nodes,
    One,
    Page,
    PageInfo,
    Payload,
    Plain,
    Resolved,
    Selection,
    TermOf,
    Terms,
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

    from graph.schema.context import FieldPath
    from graph.selection import Term

F = TypeVar("F", One, Many, Nodes, CountUpTo, Aggregates, Groups, TermOf)
V = TypeVar("V", Page, Key, Ids, Limit, Grouping)


# A few fragments that spread each other twice can write out to billions of fields; one that is
# deferred many times asks for its own as often, and each of them is looked at. So many take about
# 80 ms to become a statement.
MAX_FIELDS = 1_000
# How often each field of the introspection costs: it lists types, and their fields.
_INTROSPECTED = 100
# What a deferred fragment costs for each object, beside what is in it.
_SENT_ALONE = 10


def select(
    schema: GraphQLSchema,
    fragments: Mapping[str, FragmentDefinitionNode],
    operation: OperationDefinitionNode,
    variables: VariableValues,
) -> Plan:
    """Walk an operation once, and check all of its arguments on the way."""
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
        self._selected = 0
        self._sizes: dict[FieldPath, tuple[int, tuple[int, ...]]] = {(): (1, ())}
        self._pages: dict[FieldPath, int] = {}
        self._selects: dict[Meaning, Callable[[Asked], Any]] = {
            Meaning.COLUMN: lambda asked: Column(asked.key, asked.name),
            Meaning.GLOBAL_ID: lambda asked: GlobalId(asked.key),
            Meaning.EDGE: self._edge,
            Meaning.CONNECTION: self._connection,
            Meaning.LOOKUP: self._lookup,
            Meaning.NODE: self._nodes,
            Meaning.NODES: self._nodes,
            Meaning.NODE_LIST: lambda asked: NodeList(asked.key, self._rows(asked)),
            Meaning.EDGE_LIST: lambda asked: EdgeList(asked.key, self._fields(asked, asked.type)),
            Meaning.PAGE_INFO: lambda asked: PageInfo(asked.key, self._fields(asked, asked.type)),
            Meaning.TOTAL_COUNT: lambda asked: TotalCount(asked.key),
            Meaning.SEARCH: self._search,
            Meaning.COUNT: self._count,
            Meaning.AGGREGATES: self._aggregates,
            Meaning.GROUPS: self._groups,
            Meaning.TERMS: lambda asked: Terms(asked.key, self._fields(asked, asked.type)),
            Meaning.MEASURE: lambda asked: self._term(asked, measure_of(asked)),
            Meaning.GROUP_KEY: lambda asked: self._term(asked, group_key_of(asked)),
            Meaning.EDGE_NODE: lambda asked: EdgeNode(asked.key, self._rows(asked)),
            Meaning.EDGE_CURSOR: lambda asked: EdgeCursor(asked.key),
            Meaning.CHOSEN: self._chosen,
            Meaning.PLAIN: lambda asked: Plain(
                asked.key, asked.name, self._fields(asked, asked.type)
            ),
            Meaning.MUTATION: self._mutation,
            Meaning.REFERENCE: self._reference,
            Meaning.CURRENT: self._current,
        }

    def select_root(self) -> Plan:
        root = self._schema.get_root_type(self._operation.operation)
        assert root is not None  # noqa: S101  validation has seen to it
        collected = collect_fields(
            self._schema, self._fragments, self._variables, root, self._operation
        )
        self._charge_parts((), len(collected.new_defer_usages))
        for key, details in collected.grouped_field_set.items():
            self._plan.root.append(self._field(root, key, details, None))
            self._plan.nodes[key] = [detail.node for detail in details]
        return replace(self._plan, selected=self._selected)

    def _field(
        self,
        parent: GraphQLObjectType,
        key: str,
        details: list[FieldDetails],
        above: Asked | None,
    ) -> Any:
        self._spend(len(details))
        name = details[0].node.name.value
        if name == "__typename":
            return Typename(key, parent.name)
        definition = self._schema.get_field(parent, name)
        assert definition is not None  # noqa: S101  validation has seen to it
        declared = definition.extensions.get("strawberry-definition")
        asked = Asked(
            key=key,
            path=(*(above.path if above else ()), (parent.name, key)),
            name=getattr(declared, "python_name", name),
            parent=parent,
            definition=definition,
            details=details,
            above=above,
        )
        meaning = asked.meaning
        self._charge(asked)
        self._note_parts(asked)
        return self._selects[meaning](asked) if meaning else self._resolved(asked)

    def _spend(self, selected: int) -> None:
        self._selected += selected
        if self._selected > MAX_FIELDS:
            message = f"The operation selects more than {MAX_FIELDS:,} fields, fragments included."
            error = TooLarge(message)
            raise GraphQLError(str(error), original_error=error)

    def _charge(self, asked: Asked) -> None:
        """Note what the field costs and how long it keeps, and what multiplies what is below it.

        A value that the field's arguments say is going to be the next one.
        """
        times, above = self._sizes[asked.above.path if asked.above else ()]
        below, meaning, place = above, asked.meaning, len(self._plan.values)
        declared = asked.definition.extensions.get("strawberry-definition")
        if asked.details[0].node.name.value in {"__schema", "__type"}:
            times = _INTROSPECTED
        if meaning in {Meaning.NODE_LIST, Meaning.EDGE_LIST}:
            assert asked.above is not None  # noqa: S101  they are parts of a connection
            below = (*above, self._pages[asked.above.path])
        elif meaning in {Meaning.CONNECTION, Meaning.SEARCH}:
            self._pages[asked.path] = place
        elif meaning in {Meaning.NODES, Meaning.GROUPS}:
            below = (*above, place)
        keys = asked.keys
        if weight := weight_of(declared):
            self._plan.charges.append(Charge(keys, weight * times, above, is_object=False))
        if asked.above is None or hint_of(declared):
            self._plan.hints.append(hint_of(declared) or NOT_KEPT)
        if meaning is None:
            times *= assumed_size_of(declared)
        self._sizes[asked.path] = (times, below)
        if not is_leaf_type(asked.type):
            self._plan.charges.append(Charge(keys, times, below, is_object=True))

    def _charge_parts(self, path: FieldPath, parts: int) -> None:
        """Note what it costs to send so much of each object at this place by itself."""
        if parts:
            self._spend(parts)
            times, places = self._sizes[path]
            keys = tuple(key for _, key in path)
            charge = Charge(keys, parts * times * _SENT_ALONE, places, is_object=False)
            self._plan.charges_of_parts.append(charge)

    def _charge_searches(self, asked: Asked, searches: int) -> None:
        if searches:
            times, places = self._sizes[asked.above.path if asked.above else ()]
            cost = searches * int(SEARCH.weight) * times
            self._plan.charges.append(Charge(asked.keys, cost, places, is_object=False))

    def _note_parts(self, asked: Asked) -> None:
        """Note whether the field may come later, or the elements of its list."""
        if is_deferred(asked):
            self._plan.deferred.add(asked.keys)
        first = self._checked(asked, partial(initial_count, asked, self._variables), None)
        if first is not None:
            self._plan.streamed[asked.keys] = first

    def _fields(self, asked: Asked, type_: GraphQLObjectType) -> tuple[Any, ...]:
        """What is asked of an object of this type, in the order of the answer."""
        collected = collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, asked.details
        )
        self._charge_parts(asked.path, len(collected.new_defer_usages))
        return tuple(
            self._field(type_, key, details, asked)
            for key, details in collected.grouped_field_set.items()
        )

    def _rows(self, asked: Asked) -> Any:
        if is_abstract_type(asked.type):
            return Variants(self._variants(asked))
        return Selection(asked.type.name, self._fields(asked, asked.type))

    def _variants(self, asked: Asked) -> tuple[Selection, ...]:
        possible = self._schema.get_possible_types(asked.type)
        return tuple(Selection(type_.name, self._fields(asked, type_)) for type_ in possible)

    def _edge(self, asked: Asked) -> One:
        edge = edges.edge(asked.parent.name, asked.name)
        return self._planned(asked, One(asked.key, edge, self._rows(asked)))

    def _lookup(self, asked: Asked) -> One:
        noun = asked.type.name
        place, key = self._value(asked, lambda arguments: key_of(arguments, noun), Key("id", 0))
        edge = edges.lookup(noun, key.column)
        return self._planned(asked, One(asked.key, edge, self._rows(asked), place))

    def _connection(self, asked: Asked) -> Many:
        if asked.parent.name in NOUNS:
            edge = edges.edge(asked.parent.name, asked.name)
        else:
            edge = edges.every(get_named_type(asked.type.fields["nodes"].type).name)
        place, page = self._value(asked, lambda arguments: page_of(arguments, edge.target), Page())
        self._charge_searches(asked, searches_in(page.where))
        parts = self._fields(asked, asked.type)
        return self._planned(asked, Many(asked.key, edge, place, page.shape, parts))

    def _search(self, asked: Asked) -> Many:
        place, page = self._value(asked, found_page_of, Page())
        parts = self._fields(asked, asked.type)
        return self._planned(asked, Many(asked.key, edges.found(), place, page.shape, parts))

    def _count(self, asked: Asked) -> CountUpTo:
        place, _ = self._value(asked, limit_of, Limit(1))
        return self._planned(asked, CountUpTo(asked.key, place, self._fields(asked, asked.type)))

    def _aggregates(self, asked: Asked) -> Aggregates:
        return self._planned(asked, Aggregates(asked.key, self._fields(asked, asked.type)))

    def _groups(self, asked: Asked) -> Groups:
        place, grouping = self._value(
            asked, lambda arguments: grouping_of(arguments, asked.noun), Grouping()
        )
        fields = self._fields(asked, asked.type)
        return self._planned(asked, Groups(asked.key, place, grouping.shape, fields))

    def _term(self, asked: Asked, term: Term) -> TermOf:
        return self._planned(asked, TermOf(asked.key, term))

    def _nodes(self, asked: Asked) -> Nodes:
        place, _ = self._value(asked, ids_of, Ids(()))
        many = "ids" in asked.definition.args
        return self._planned(asked, Nodes(asked.key, place, self._variants(asked), many=many))

    def _chosen(self, asked: Asked) -> Chosen:
        """The text of each value that the field can have, written here and now."""
        choice = asked.more
        fields = self._fields(asked, asked.type)
        texts = tuple(
            (value.value, text_of(choice.value_of(value), asked.definition.type, fields))
            for value in choice.values
        )
        return Chosen(asked.key, choice.column, texts)

    def _mutation(self, asked: Asked) -> Mutate:
        self._checked(asked, lambda: asked.reader()(self._variables), None)
        possible = self._schema.get_possible_types(asked.type)
        return Mutate(
            asked.key,
            tuple(Payload(type_.name, self._fields(asked, type_)) for type_ in possible),
        )

    def _reference(self, asked: Asked) -> One:
        edge = edges.reference(asked.parent.name, asked.name, asked.type.name)
        return self._planned(asked, One(asked.key, edge, self._rows(asked)))

    def _current(self, asked: Asked) -> Nodes:
        """A row of some noun: which one is known when the mutation has been refused."""
        possible = self._schema.get_possible_types(asked.type)
        to = tuple(Selection(type_.name, self._fields(asked, type_)) for type_ in possible)
        return self._planned(asked, Nodes(asked.key, -1, to, many=False))

    def _resolved(self, asked: Asked) -> Resolved:
        """A Python resolver answers; what it returns may have edges all the same."""
        possible = (
            self._schema.get_possible_types(asked.type)
            if is_abstract_type(asked.type)
            else [asked.type]
        )
        for type_ in possible:
            if isinstance(type_, GraphQLObjectType):
                self._fields(asked, type_)
        self._checked(asked, lambda: asked.reader()(self._variables), None)
        return Resolved(asked.key, f"{asked.parent.name}.{asked.details[0].node.name.value}")

    def _planned(self, asked: Asked, follows: F) -> F:
        self._plan.fields[asked.path] = follows
        return follows

    def _value(
        self, asked: Asked, read: Callable[[dict[str, Any]], V], otherwise: V
    ) -> tuple[int, V]:
        """The next place, and what the arguments say there."""
        arguments = asked.reader()

        def recipe(variables: VariableValues) -> V:
            return read(arguments(variables))

        value = self._checked(asked, lambda: recipe(self._variables), otherwise)
        self._plan.values.append(value)
        self._plan.recipes.append((lambda _: value) if asked.is_fixed else recipe)
        return len(self._plan.values) - 1, value

    def _checked(self, asked: Asked, check: Callable[[], Any], otherwise: Any) -> Any:
        """What a check of arguments returns; where it refuses them, note why and go on."""
        try:
            return check()
        except (RequestError, GraphQLError) as error:
            nodes = [details.node for details in asked.details]
            path = [key for _, key in asked.path]
            message = getattr(error, "message", None) or str(error)
            self._plan.errors.append(
                GraphQLError(message, nodes=nodes, path=path, original_error=error)
            )
            return otherwise
