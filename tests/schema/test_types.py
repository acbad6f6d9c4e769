"""The schema mirrors the models, and everything in it has a description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLNonNull, GraphQLSchema

from graph.database.relationships import mapper_of, mappers, relationship
from graph.schema.fields import Meaning, meaning_of
from graph.schema.schema import text_of
from graph.store.models import Base
from graph.store.schema import schema
from graph.store.types import ENTITIES

SCHEMA: GraphQLSchema = schema._schema  # noqa: SLF001

entities = pytest.mark.parametrize("entity", [type_.__name__ for type_ in ENTITIES])


def declared(entity: str, *meanings: Meaning) -> dict[str, Any]:
    """The entity's GraphQL fields of these meanings, by Python name."""
    fields = SCHEMA.type_map[entity].fields.values()  # type: ignore[attr-defined]
    found = {field.extensions["strawberry-definition"]: field for field in fields}
    return {
        definition.python_name: field
        for definition, field in found.items()
        if meaning_of(definition) in meanings
    }


def test_every_model_is_an_entity_of_the_schema() -> None:
    assert {type_.__name__ for type_ in ENTITIES} == set(mappers(Base))


@entities
def test_an_entity_has_every_column_of_its_model(entity: str) -> None:
    mapper = mapper_of(entity)

    assert set(declared(entity, Meaning.COLUMN)) == set(mapper.column_attrs.keys())


@entities
def test_an_entity_has_every_relationship_of_its_model(entity: str) -> None:
    edges = declared(entity, Meaning.TO_ONE, Meaning.CONNECTION)
    relationships = mapper_of(entity).relationships

    assert set(edges) == set(relationships.keys())
    for name, field in edges.items():
        always = not relationship(entity, name).is_optional
        suffix = "Connection!" if relationships[name].uselist else "!" * always
        assert str(field.type) == relationships[name].mapper.class_.__name__ + suffix


@entities
def test_a_field_is_nullable_only_where_its_column_is(entity: str) -> None:
    mapper = mapper_of(entity)
    for name, field in declared(entity, Meaning.COLUMN).items():
        column = mapper.column_attrs[name].columns[0]
        # A computed value is null only where it is declared so: no column tells.
        nullable = getattr(column, "nullable", (entity, name) == ("Event", "payload"))

        assert isinstance(field.type, GraphQLNonNull) is not nullable, name


def test_everything_in_the_schema_is_described() -> None:
    missing = []
    for name, type_ in SCHEMA.type_map.items():
        if name.startswith("__"):
            continue
        missing += [name] if not type_.description else []
        if isinstance(type_, GraphQLEnumType):
            parts: dict[str, Any] = dict(type_.values)
        else:
            parts = dict(getattr(type_, "fields", {}))
        for part, definition in parts.items():
            missing += [f"{name}.{part}"] if not definition.description else []
            arguments = getattr(definition, "args", {})
            missing += [
                f"{name}.{part}({argument})"
                for argument, details in arguments.items()
                if not details.description
            ]

    assert missing == []


def test_no_argument_hides_a_null_behind_a_default() -> None:
    assert "= null" not in text_of(schema)


def test_the_file_in_the_repository_is_the_schema_of_the_code() -> None:
    file = Path(__file__).parents[2] / "schema.graphql"

    assert file.read_text("utf-8") == text_of(schema)
