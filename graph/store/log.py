"""The event log, as the engine follows it: see `graph.database.events`."""

from sqlalchemy import case, func, null, select

from graph.database.catalog import catalog
from graph.database.events import EventLog
from graph.store.access import OWN
from graph.store.models import EVENTS, EventKind, Order

_COLUMNS = func.array(select(func.jsonb_object_keys(EVENTS.c.payload)).scalar_subquery())

catalog.log = EventLog(
    entity="Event",
    table=EVENTS,
    changed=EVENTS.c.entity,
    key=EVENTS.c.entity_id,
    columns=case(
        (EVENTS.c.kind.in_((EventKind.CREATED, EventKind.DELETED)), null()), else_=_COLUMNS
    ),
    owner=select(Order.customer_id).where(Order.id == EVENTS.c.order_id).scalar_subquery(),
    own=OWN,
)
