"""The event log as the API shows it. Triggers write the table `events`; a view gives it API names.

Nothing is migrated: a row of `events` keeps the names of columns and the JSON of PostgreSQL, and is
translated when it is read. So a log of any size is readable under the names of today's schema, and
what is not a field of the schema is never shown.

Events outlive their rows. Their values do not: the payload of an event is NULL once its row was
deleted, so that a client who counts ids finds nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import DDL, event, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from graph.database.kinds import ScalarKind
from graph.database.reads import scalar_of_column
from graph.database.relationships import mapper_of
from graph.database.types import JsonText
from graph.database.worlds import world_of_dialect
from graph.schema.entities import entity_of
from graph.store.log_functions import LOGGED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import MetaData, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from graph.database.worlds import World

# The tables of the entities whose changes are logged.
_TABLES = {entity: table for table, (entity, _) in LOGGED.items()}


def key_in_events(entity: str) -> str:
    """The key of a changed row of this entity, as SQL over `events`; NULL for other entities."""
    return f"CASE WHEN entity = '{entity}' THEN entity_id END"


CREATE_VIEW = f"""
    CREATE VIEW history AS
    SELECT id, occurred_at,
           CASE entity WHEN 'Customer' THEN 'CUSTOMER' WHEN 'Item' THEN 'ITEM'
                WHEN 'Order' THEN 'ORDER' WHEN 'OrderLine' THEN 'ORDER_LINE' END AS entity,
           kind, actor,
           {key_in_events("Customer")} AS customer_id,
           {key_in_events("Item")} AS item_id,
           order_id,
           {key_in_events("OrderLine")} AS order_line_id
    FROM events
"""  # noqa: S608  all of it is ours


def create_with(metadata: MetaData) -> None:
    """Let `create_all` and `drop_all` create and drop the view as well."""
    create: DDL = DDL(CREATE_VIEW)  # type: ignore[no-untyped-call]
    drop: DDL = DDL("DROP VIEW IF EXISTS history")  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", create)
    event.listen(metadata, "before_drop", drop)


class payload_of(FunctionElement[str]):  # noqa: N801  a function of SQL
    """The payload of the event with a key: values by field, in the JSON of the API.

    NULL if the row was deleted.
    """

    type = JsonText()
    inherit_cache = True


# A number beyond 2**53, or of money, is a string; a key is a global id; a time is in UTC.
_ENCODED = """
    CASE WHEN jsonb_typeof({value}) NOT IN ('string', 'number') THEN {value}
         ELSE CASE shown.encoding
              WHEN 'text' THEN to_jsonb({value} #>> '{{}}')
              WHEN 'time' THEN to_jsonb(({value} #>> '{{}}')::timestamptz)
              WHEN 'id' THEN to_jsonb(
                  encode(textsend(shown.leads_to || ':' || ({value} #>> '{{}}')), 'base64'))
              ELSE {value} END END
"""
_PAYLOAD = """(
    SELECT CASE WHEN logged.kind <> 'DELETED' AND CASE logged.entity {exists} END THEN (
        SELECT coalesce(jsonb_object_agg(shown.field,
            CASE WHEN logged.kind = 'CREATED' THEN {value}
                 ELSE jsonb_build_array({before}, {after}) END), '{{}}')
        FROM jsonb_each(CASE jsonb_typeof(logged.payload) WHEN 'object' THEN logged.payload END)
             AS change(name, value)
        JOIN (VALUES {fields}) AS shown(entity, name, field, encoding, leads_to)
        ON shown.entity = logged.entity AND shown.name = change.name) END
    FROM events AS logged WHERE logged.id = {id})"""
_ENCODINGS = {
    ScalarKind.DECIMAL: "text",
    ScalarKind.BIGINT: "text",
    ScalarKind.TIME: "time",
}


@compiles(payload_of)
def _compile_payload(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    world = world_of_dialect(compiler.dialect)
    exists = " ".join(
        f"WHEN '{entity}' THEN EXISTS ({compiler.process(_changed_row(entity))})"
        for entity in _TABLES
    )
    fields = ",".join(
        "(" + ",".join(f"'{each}'" for each in row) + ")"
        for entity in _TABLES
        for row in _fields_of(entity, world)
    )
    return _PAYLOAD.format(
        exists=exists,
        fields=fields,
        id=compiler.process(element.clauses, **options),
        value=_ENCODED.format(value="change.value"),
        before=_ENCODED.format(value="(change.value -> 0)"),
        after=_ENCODED.format(value="(change.value -> 1)"),
    )


def _changed_row(entity: str) -> Select[Any]:
    table: Any = mapper_of(entity).local_table
    row: Select[Any] = select(literal_column("1")).select_from(table)
    return row.where(table.c.id == literal_column("logged.entity_id")).correlate(None)


def _fields_of(entity: str, world: World) -> Iterator[tuple[str, ...]]:
    """Of each stored column: its entity, its name, that of its field, its encoding, its target."""
    attributes = mapper_of(entity).column_attrs
    for field, column in entity_of(entity).columns.items():
        if world.hides(entity, column.name):
            continue
        name = attributes[column.name].columns[0].name
        kind = scalar_of_column(entity, column.name).kind
        encoding = "id" if column.references else _ENCODINGS.get(kind, "")
        yield entity, name, field, encoding, column.references or ""
