"""What of a model the engine can say, found out when a schema is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Enum, Table, UniqueConstraint
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.types import NullType

from graph.database.catalog import catalog
from graph.database.kinds import ScalarKind, kind_of_type
from graph.database.reads.columns import attribute_of, is_caseless
from graph.database.relationships import entity_of_column, mappers, relationship

if TYPE_CHECKING:
    from sqlalchemy.orm import Mapper, RelationshipProperty

    from graph.selection import Relationship

_KEYS = {ScalarKind.INTEGER, ScalarKind.BIGINT, ScalarKind.UUID}
_WHOLE = {ScalarKind.INTEGER, ScalarKind.BIGINT}
_NUMBERS = {*_WHOLE, ScalarKind.DECIMAL, ScalarKind.FLOAT}
# What a field may be annotated with, beside the kind of its stored column.
_WIDER = {(ScalarKind.BIGINT, ScalarKind.INTEGER)}


class Unservable(Exception):
    """Why an entity, a column or a relationship cannot be served."""


def configure_models() -> None:
    """Let SQLAlchemy put the models together.

    Raises:
        Unservable: a relationship names a model that does not exist, or the like.
    """
    try:
        configure_mappers()
    except SQLAlchemyError as error:
        raise Unservable(" ".join(str(error).split())) from error


def check_model(entity: str) -> None:
    """Return when rows of the entity can be served.

    Raises:
        Unservable: there is no model, or none with one key `id` that is a number or a UUID.
    """
    mapper = mappers().get(entity)
    if mapper is None:
        raise Unservable("no store has a model of this name")
    if mapper.inherits is not None:
        raise Unservable("its model inherits from another model")
    if not isinstance(mapper.local_table, Table):
        raise Unservable("its model is not mapped to a table")
    key = mapper.primary_key
    if len(key) > 1:
        raise Unservable(f"its key has {len(key)} columns; one is needed")
    name = mapper.get_property_by_column(key[0]).key
    if name != "id":
        raise Unservable(f"its key is '{name}'; it must be the attribute 'id' of the model")
    if kind_of_type(key[0].type) not in _KEYS:
        raise Unservable(f"its key is of type {key[0].type!r}; an integer or a UUID is needed")


def check_column(entity: str, name: str, kind: ScalarKind, *, is_nullable: bool) -> None:
    """Return when a field of this kind can show the column.

    Raises:
        Unservable: there is no such column, or it is of another kind, or can be null.
    """
    column = column_named(entity, name)
    actual = kind_of_type(column.type)
    if not isinstance(column, Column):
        _check_computed(column, kind, actual)
    elif actual is None:
        raise Unservable(f"the type of its column, {column.type!r}, is unknown")
    elif kind is not actual and (kind, actual) not in _WIDER:
        raise Unservable(f"its annotation is of another kind than its column, {column.type!r}")
    elif column.nullable and not is_nullable:
        raise Unservable("its column can be null: annotate it `... | None`")
    if kind is ScalarKind.FLOAT and not is_nullable:
        raise Unservable(
            "a float can be NaN or infinite, which is null in JSON: annotate it `float | None`"
        )


def _check_computed(column: Any, kind: ScalarKind, actual: ScalarKind | None) -> None:
    """SQLAlchemy may take one number for another, but no number for a text."""
    if kind is actual or isinstance(column.type, NullType):
        return
    if not {kind, actual} <= _NUMBERS or (kind in _WHOLE and actual not in _WHOLE):
        raise Unservable(f"its annotation is of another kind than its expression, {column.type!r}")


def column_named(entity: str, name: str) -> Any:
    """A column of the model.

    Raises:
        Unservable: there is none of this name, or it is of several.
    """
    attributes = mappers()[entity].column_attrs
    if name not in attributes:
        raise Unservable("its model has no such column")
    if len(attributes[name].columns) > 1:
        raise Unservable("it is made of several columns")
    return attribute_of(entity, name)


def check_enum(entity: str, name: str, type_: type) -> None:
    """Return when the column has the values of this enum, stored by their names.

    Raises:
        Unservable: it has not.
    """
    column = column_named(entity, name)
    if not isinstance(column.type, Enum) or column.type.enum_class is not type_:
        raise Unservable(f"its annotation is another enum than its column, {column.type!r}")
    if list(column.type.enums) != list(type_.__members__):
        raise Unservable("its column stores other texts than the names of the enum's values")


def referenced_entity(entity: str, name: str, named: str | None) -> str:
    """The entity whose keys a column has: the one that is named, or that a foreign key leads to.

    Raises:
        Unservable: neither tells, or the keys of that entity are of another kind.
    """
    column = column_named(entity, name)
    targets = (entity_of_column(key.column) for key in getattr(column, "foreign_keys", ()))
    keys = [target for target, attribute in filter(None, targets) if attribute == "id"]
    found = named or next(iter(keys), None)
    if found is None:
        raise Unservable("no foreign key leads from it to an entity: name that by `references`")
    if keys and found not in keys:
        raise Unservable(f"it references {keys[0]}, not {found}")
    check_model(found)
    key = kind_of_type(attribute_of(found, "id").type)
    if _family(kind_of_type(column.type)) != _family(key):
        raise Unservable(f"it is of another type than the keys of {found}")
    return found


def _family(kind: ScalarKind | None) -> ScalarKind | None:
    return ScalarKind.BIGINT if kind in _WHOLE else kind


def check_unique(entity: str, name: str) -> None:
    """Return when no two rows share a value of the column.

    Raises:
        Unservable: no constraint or index sees to it.
    """
    column = column_named(entity, name)
    if not is_unique(column):
        raise Unservable(f"'{name}' of {entity} is not unique")


def is_unique(column: Any) -> bool:
    if not isinstance(column, Column):
        return False
    table = column.table
    unique = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    indexes = [each for each in table.indexes if each.unique and not _is_partial(each)]
    candidates: list[Any] = [*unique, *indexes]
    return (
        column.unique is True
        or [*table.primary_key.columns] == [column]
        or any([*each.columns] == [column] for each in candidates)
        or is_caseless(column)
    )


def _is_partial(index: Any) -> bool:
    return index.dialect_options["postgresql"]["where"] is not None


def check_relationship(entity: str, name: str, target: str, *, is_list: bool) -> Relationship:
    """The relationship that a field to the target shows.

    Raises:
        Unservable: there is none of this name, or it leads elsewhere, or is joined by more than
            the equality of two columns.
    """
    found = mappers()[entity].relationships.get(name)
    if found is None:
        raise Unservable("its model has no such relationship")
    leads_to = found.mapper.class_.__name__
    if leads_to != target:
        raise Unservable(f"the relationship leads to {leads_to}, not to {target or 'an entity'}")
    if bool(found.uselist) is not is_list:
        leads = "many rows: declare a `connection`" if found.uselist else "one: declare a `to_one`"
        raise Unservable(f"the relationship leads to {leads}")
    _check_join(found)
    follows = relationship(entity, name)
    if not is_list:
        check_unique(follows.target, str(follows.target_column))
    return follows


def _check_join(found: RelationshipProperty[Any]) -> None:
    joins = [found.primaryjoin, *([] if found.secondaryjoin is None else [found.secondaryjoin])]
    if not all(_is_equality(join) for join in joins):
        raise Unservable("it is joined by more than the equality of two columns")
    if found.secondary is not None and not isinstance(found.secondary, Table):
        raise Unservable("its secondary is not a table")
    sides = zip((found.parent, found.mapper), _ends(found), strict=True)
    for mapper, column in sides:
        if not _is_mapped(mapper, column):
            raise Unservable(f"the column '{column.name}' that it is joined by is no attribute")


def _ends(found: RelationshipProperty[Any]) -> tuple[Any, Any]:
    """The column of the source and that of the target."""
    if found.secondary is None:
        (pair,) = found.local_remote_pairs or ()
        return pair
    pairs: Any = found.synchronize_pairs, found.secondary_synchronize_pairs
    return pairs[0][0][0], pairs[1][0][0]


def _is_equality(join: Any) -> bool:
    return (
        isinstance(join, BinaryExpression)
        and join.operator is operators.eq
        and all(isinstance(side, Column) for side in (join.left, join.right))
    )


def _is_mapped(mapper: Mapper[Any], column: Any) -> bool:
    return any(column in attribute.columns for attribute in mapper.column_attrs)


def check_union(name: str, entities: set[str]) -> None:
    """Return when the union of these entities is one that can be searched.

    Raises:
        Unservable: the catalogue has none of this name, or with others.
    """
    known = catalog.unions.get(name)
    if known is None:
        raise Unservable(f"the catalogue has no union '{name}'")
    if set(known) != entities or not set(known) <= set(catalog.searched):
        raise Unservable(f"the catalogue has other entities for the union '{name}'")
