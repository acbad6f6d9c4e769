"""The event log, as the engine follows it: see `graph.database.events`."""

from typing import Any

from sqlalchemy import ColumnElement, case, literal_column, null, select

from graph.database.catalog import catalog
from graph.database.events import EventLog
from graph.store.access import OWN
from graph.store.log_functions import LOGGED
from graph.store.models import EVENTS, EventKind, Order

_CHANGED: ColumnElement[Any] = literal_column("ARRAY(SELECT jsonb_object_keys(events.payload))")

LOG = EventLog(
    entity="Event",
    entities=frozenset(entity for entity, _ in LOGGED.values()),
    table=EVENTS,
    kind=EVENTS.c.kind,
    changed=EVENTS.c.entity,
    key=EVENTS.c.entity_id,
    columns=case(
        (EVENTS.c.kind.in_((EventKind.CREATED, EventKind.DELETED)), null()), else_=_CHANGED
    ),
    owner=select(Order.customer_id).where(Order.id == EVENTS.c.order_id).scalar_subquery(),
    own=OWN,
)
catalog.log = LOG
