"""The tables: customers place orders, an order has lines, a line refers to an item.

A relationship that was not loaded raises, so that no hidden statement ever loads rows. A computed
value is a `column_property`: `Order.total` is an SQL expression that can be used like a column, and
is only computed when it is selected.

Triggers (`triggers`) maintain versions, the price and name in a line, and the event log, so that
these are correct whichever program writes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Enum,
    FetchedValue,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    ScalarSelect,
    SmallInteger,
    String,
    Table,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
)

from graph.database import partitions, search_functions
from graph.database.catalog import catalog
from graph.database.search import index_expression
from graph.database.tables import NAMING_CONVENTION
from graph.database.types import JsonText
from graph.store import history, triggers


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own spelling
        datetime: DateTime(timezone=True),
        Decimal: Numeric(10, 2),
    }
    # INSERT and UPDATE return the values that the database fills in (RETURNING): asyncio does not
    # permit loading an attribute at its first access.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


triggers.create_with(Base.metadata)
history.create_with(Base.metadata)
search_functions.create_with(Base.metadata)
partitions.create_with(Base.metadata, "events")
catalog.bases.append(Base)
catalog.models = Base
catalog.migrations = "graph.store.migrations"
catalog.searched |= {
    "Customer": ("first_name", "last_name", "username", "email", "town"),
    "Item": ("name",),
}
catalog.unions["SearchResult"] = ("Customer", "Item")


class OrderStatus(StrEnum):
    PLACED = "PLACED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


class EventEntity(StrEnum):
    """The entity of a changed row."""

    CUSTOMER = "CUSTOMER"
    ITEM = "ITEM"
    ORDER = "ORDER"
    ORDER_LINE = "ORDER_LINE"


class EventKind(StrEnum):
    """The kind of a change. An order that advances has the name of its new status."""

    CREATED = "CREATED"
    CHANGED = "CHANGED"
    DELETED = "DELETED"
    PAID = "PAID"
    SHIPPED = "SHIPPED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"


def _one_of(names: type[StrEnum], column: str) -> Enum:
    """Text with a CHECK constraint: drivers must look up each of PostgreSQL's own enum types."""
    return Enum(names, name=column, native_enum=False, create_constraint=True, length=20)


def _version() -> Any:
    """A version that a trigger increments at every change."""
    return mapped_column(server_default=text("1"), server_onupdate=FetchedValue())


def _within_four_digit_years(column: str) -> str:
    """Exclude times that Python and RFC 3339 cannot represent: infinity, BC, years past 9999."""
    return f"{column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00'"


def _a_price(column: str) -> str:
    """Exclude negative amounts and NaN, which PostgreSQL sorts above every number."""
    return f"{column} >= 0 AND {column} <> 'NaN'"


def _search_index(entity: str, table: str) -> Index:
    return Index(f"{table}_search_idx", text(index_expression(entity)), postgresql_using="gin")


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    username: Mapped[str] = mapped_column(String(50), unique=True)
    email: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(200))
    town: Mapped[str] = mapped_column(String(100))
    created_on: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_on: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    version: Mapped[int] = _version()

    orders: Mapped[list[Order]] = relationship(back_populates="customer", lazy="raise")
    history: Mapped[list[Event]] = relationship(
        primaryjoin="Customer.id == foreign(Event.customer_id)", viewonly=True, lazy="raise"
    )

    __table_args__ = (
        Index("customers_lower_email_key", text("lower(email)"), unique=True),
        # Each serves a sort, or a filter in the default order.
        Index(None, "last_name", "id"),
        Index(None, "town", "id"),
        Index(None, "created_on", "id"),
        _search_index("Customer", "customers"),
        CheckConstraint(_within_four_digit_years("created_on"), name="created_on"),
        CheckConstraint(_within_four_digit_years("updated_on"), name="updated_on"),
    )

    def __repr__(self) -> str:
        return f"<Customer:{self.id}-{self.username}>"


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    cost_price: Mapped[Decimal]
    selling_price: Mapped[Decimal]
    stock: Mapped[int | None]
    version: Mapped[int] = _version()

    order_lines: Mapped[list[OrderLine]] = relationship(back_populates="item", lazy="raise")
    history: Mapped[list[Event]] = relationship(
        primaryjoin="Item.id == foreign(Event.item_id)", viewonly=True, lazy="raise"
    )

    __table_args__ = (
        Index(None, "name", "id"),
        Index(None, "selling_price", "id"),
        _search_index("Item", "items"),
        CheckConstraint(_a_price("cost_price"), name="cost_price"),
        CheckConstraint(_a_price("selling_price"), name="selling_price"),
        CheckConstraint("stock >= 0", name="stock"),
    )

    def __repr__(self) -> str:
        return f"<Item:{self.id}-{self.name}>"


def _price_differs(item_id: Mapped[int], unit_price: Mapped[Decimal]) -> ScalarSelect[bool]:
    items = Item.__table__
    differs = select(items.c.selling_price != unit_price).where(items.c.id == item_id)
    return differs.correlate_except(items).scalar_subquery()


class OrderLine(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("orders.id"))
    item_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("items.id"))
    quantity: Mapped[int] = mapped_column(SmallInteger)
    # The item's price and name at the time of the order; a trigger sets them if they are NULL.
    unit_price: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default=FetchedValue())
    item_name: Mapped[str] = mapped_column(String(200), server_default=FetchedValue())
    cancelled_quantity: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    # The pieces that came out of stock and were not put back: `writes.stock` keeps the number.
    taken: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    subtotal: Mapped[Decimal] = column_property(
        unit_price * (quantity - cancelled_quantity), deferred=True, raiseload=True
    )
    unit_price_changed: Mapped[bool] = column_property(
        _price_differs(item_id, unit_price), deferred=True, raiseload=True
    )

    order: Mapped[Order] = relationship(back_populates="line_items", lazy="raise")
    item: Mapped[Item] = relationship(back_populates="order_lines", lazy="raise")

    # Each index serves the pages of one relationship: an order's lines, an item's lines.
    __table_args__ = (
        Index(None, "order_id", "id"),
        Index(None, "item_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint(_a_price("unit_price"), name="unit_price"),
        CheckConstraint(
            "cancelled_quantity >= 0 AND cancelled_quantity <= quantity", name="cancelled_quantity"
        ),
        CheckConstraint("taken >= 0 AND taken <= quantity - cancelled_quantity", name="taken"),
    )

    def __repr__(self) -> str:
        return f"<OrderLine:{self.id}-{self.order_id}>"


def _sum_of_subtotals(order_id: Mapped[int]) -> ScalarSelect[Decimal]:
    lines = OrderLine.__table__
    subtotals = func.sum(lines.c.unit_price * (lines.c.quantity - lines.c.cancelled_quantity))
    # The total of an order without lines is 0.00, with the scale of money.
    total = select(func.coalesce(subtotals, literal_column("0.00", Numeric(10, 2))))
    total = total.select_from(lines).where(lines.c.order_id == order_id)
    return total.correlate_except(lines).scalar_subquery()


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("customers.id"))
    date_placed: Mapped[datetime] = mapped_column(server_default=func.now())
    status: Mapped[OrderStatus] = mapped_column(
        _one_of(OrderStatus, "status"), server_default=OrderStatus.PLACED
    )
    version: Mapped[int] = _version()
    total: Mapped[Decimal] = column_property(
        _sum_of_subtotals(order_id=id),  # noqa: A003  the column of this name
        deferred=True,
        raiseload=True,
    )

    customer: Mapped[Customer] = relationship(back_populates="orders", lazy="raise")
    line_items: Mapped[list[OrderLine]] = relationship(back_populates="order", lazy="raise")
    history: Mapped[list[Event]] = relationship(
        primaryjoin="Order.id == foreign(Event.order_id)", viewonly=True, lazy="raise"
    )

    __table_args__ = (
        # The order of a customer's orders, and of all.
        Index(None, "customer_id", "date_placed", "id"),
        Index(None, "date_placed", "id"),
        CheckConstraint(_within_four_digit_years("date_placed"), name="date_placed"),
    )

    def __repr__(self) -> str:
        return f"<Order:{self.id}-{self.customer_id}>"


EVENTS = Table(
    "events",
    Base.metadata,
    Column("id", BigInteger, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("entity", String(20), nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("kind", _one_of(EventKind, "kind"), nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("actor", String(500)),
    # The key of the changed order, or of the changed line's order. Events outlive their order.
    Column("order_id", BigInteger),
    CheckConstraint(_within_four_digit_years("occurred_at"), name="occurred_at"),
    Index(None, "order_id", "id"),
    postgresql_partition_by="RANGE (id)",
)
for _entity in ("Customer", "Item"):
    _key = history.key_in_events(_entity)
    Index(
        f"events_{_entity.lower()}_id_idx",
        text(f"({_key})"),
        EVENTS.c.id,
        postgresql_where=text(f"({_key}) IS NOT NULL"),
    )


class Event(Base):
    """One change of one row, written by a trigger in the same transaction: a row of a view.

    One of `customer_id`, `item_id`, `order_line_id` is the key of the changed row; `order_id` is
    that of the changed order, or of the changed line's order. Rows may have been deleted.
    """

    __tablename__ = "history"
    metadata = MetaData()  # a view is not created like a table

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    occurred_at: Mapped[datetime]
    entity: Mapped[EventEntity] = mapped_column(_one_of(EventEntity, "entity"))
    kind: Mapped[EventKind] = mapped_column(_one_of(EventKind, "kind"))
    actor: Mapped[str | None] = mapped_column(String(500))
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    item_id: Mapped[int | None] = mapped_column(BigInteger)
    order_id: Mapped[int | None] = mapped_column(BigInteger)
    order_line_id: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[str | None] = column_property(
        history.payload_of(id),  # noqa: A003  the column of this name
        deferred=True,
        raiseload=True,
    )

    customer: Mapped[Customer | None] = relationship(
        primaryjoin="foreign(Event.customer_id) == Customer.id", viewonly=True, lazy="raise"
    )
    item: Mapped[Item | None] = relationship(
        primaryjoin="foreign(Event.item_id) == Item.id", viewonly=True, lazy="raise"
    )
    order: Mapped[Order | None] = relationship(
        primaryjoin="foreign(Event.order_id) == Order.id", viewonly=True, lazy="raise"
    )
    order_line: Mapped[OrderLine | None] = relationship(
        primaryjoin="foreign(Event.order_line_id) == OrderLine.id", viewonly=True, lazy="raise"
    )

    def __repr__(self) -> str:
        return f"<Event:{self.id}-{self.entity}>"
