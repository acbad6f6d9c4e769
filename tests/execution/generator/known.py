"""The ids, cursors and values of a store, read by an operation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_leaf_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graphql import GraphQLField, GraphQLSchema


@dataclass
class Known:
    """`values` are by the name of the field, and by that of its type; the others by entity.

    `ask` answers an operation, and `roots` are the names of Query's connections, by what they list.
    """

    values: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    ids: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cursors: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    roots: dict[str, str] = field(default_factory=dict)
    ask: Callable[[str], Any] | None = None
    _sorted: dict[str, list[str]] = field(default_factory=dict)

    def cursors_under(self, listed: str, arguments: str) -> list[str]:
        """The cursors of the rows in a list with these arguments; none where it is refused."""
        if self.ask is None or not arguments:
            return self.cursors.get(listed, [])
        if listed not in self.roots:  # its lists are all below others, and cannot be asked for
            return []
        text = f"{{ list: {self.roots[listed]}({arguments}, first: 100) {{ edges {{ cursor }} }} }}"
        if text not in self._sorted:
            data = self.ask(text)
            edges = data["list"]["edges"] if data else ()
            self._sorted[text] = [edge["cursor"] for edge in edges]
        return self._sorted[text]

    def __repr__(self) -> str:
        return "Known(...)"


def listed_by(field_: GraphQLField) -> str | None:
    """The name of the type of a connection's rows; None where a field is not a connection."""
    nodes = getattr(get_named_type(field_.type), "fields", {}).get("nodes")
    return get_named_type(nodes.type).name if nodes and "first" in field_.args else None


def element_of(field_: GraphQLField) -> GraphQLObjectType | None:
    """The entity of a connection's rows; None where a field is not a connection."""
    nodes = getattr(get_named_type(field_.type), "fields", {}).get("nodes")
    element = get_named_type(nodes.type) if nodes and "first" in field_.args else None
    return element if isinstance(element, GraphQLObjectType) else None


def survey(schema: GraphQLSchema) -> str:
    """An operation that asks for all values of all rows, as far as two connections lead."""
    assert schema.query_type
    return "{" + " ".join(_listed(schema.query_type, depth=2)) + "}"


def _listed(type_: GraphQLObjectType, depth: int) -> Iterator[str]:
    for name, field_ in type_.fields.items():
        if (element := element_of(field_)) is not None and depth:
            leaves = [key for key, leaf in element.fields.items() if _is_plain(leaf)]
            asked = " ".join(("__typename", *leaves, *_listed(element, depth - 1)))
            yield f"{name}(first: 100) {{ edges {{ cursor node {{ {asked} }} }} }}"


def _is_plain(field_: GraphQLField) -> bool:
    return is_leaf_type(get_named_type(field_.type)) and not field_.args


def known_of(schema: GraphQLSchema, data: Any, ask: Callable[[str], Any] | None = None) -> Known:
    """What the answer to the survey tells."""
    assert schema.query_type
    roots = {
        listed: name
        for name, field_ in schema.query_type.fields.items()
        if (listed := listed_by(field_)) is not None
    }
    known = Known(roots=roots, ask=ask)
    for edge in _edges(data):
        node = edge["node"]
        type_ = schema.type_map[node["__typename"]]
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        known.cursors[type_.name].append(edge["cursor"])
        for key, value in node.items():
            if key == "id":
                known.ids[type_.name].append(value)
            elif key in type_.fields and not isinstance(value, dict):
                known.values[key].append(value)
                known.values[get_named_type(type_.fields[key].type).name].append(value)
    return known


def _edges(data: Any) -> Iterator[dict[str, Any]]:
    if isinstance(data, list):
        for item in data:
            yield from _edges(item)
    elif isinstance(data, dict):
        if "cursor" in data:
            yield data
        for value in data.values():
            yield from _edges(value)
