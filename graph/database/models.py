"""What is stored: customers place orders, an order has lines, a line names an item.

Relationships raise when they were not loaded, so that no row ever arrives by a hidden statement.
A computed value is a `column_property`: `Order.total` stands for its SQL expression wherever
a column may stand, and is read only when it is asked for.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    DDL,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    ScalarSelect,
    SmallInteger,
    String,
    event,
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

from graph.database.search import index_expressions

# A violation names its constraint, and by that name it becomes a typed error.
NAMING_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own spelling
        datetime: DateTime(timezone=True),
        Decimal: Numeric(10, 2),
    }
    # What the database fills in comes back with the INSERT or UPDATE itself (RETURNING): an
    # attribute that would have to be fetched later cannot be, in asyncio.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


def _within_four_digit_years(column: str) -> str:
    """Refuse times that Python and RFC 3339 cannot say: infinity, BC, years past 9999."""
    return f"{column} >= '0001-01-01 00:00:00+00' AND {column} < '10000-01-01 00:00:00+00'"


def _a_price(column: str) -> str:
    """Refuse negative amounts and NaN, which PostgreSQL sorts above every number."""
    return f"{column} >= 0 AND {column} <> 'NaN'"


def _search_indexes(noun: str, table: str) -> tuple[Index, Index]:
    words, trigrams = index_expressions(noun)
    return (
        Index(f"{table}_words_idx", text(words), postgresql_using="gin"),
        Index(f"{table}_trigrams_idx", text(trigrams), postgresql_using="gin"),
    )


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str] = mapped_column(String(100))
    last_name: Mapped[str] = mapped_column(String(100))
    username: Mapped[str] = mapped_column(String(50), unique=True)
    email: Mapped[str] = mapped_column(String(200))
    address: Mapped[str] = mapped_column(String(200))
    town: Mapped[str] = mapped_column(String(100))
    created_on: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_on: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    orders: Mapped[list[Order]] = relationship(back_populates="customer", lazy="raise")

    __table_args__ = (
        Index("customers_lower_email_key", text("lower(email)"), unique=True),
        # Each serves an order, or a filter in the default order.
        Index(None, "last_name", "id"),
        Index(None, "town", "id"),
        Index(None, "created_on", "id"),
        *_search_indexes("Customer", "customers"),
        CheckConstraint(_within_four_digit_years("created_on"), name="created_on"),
        CheckConstraint(_within_four_digit_years("updated_on"), name="updated_on"),
    )

    def __repr__(self) -> str:
        return f"<Customer:{self.id}-{self.username}>"


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    cost_price: Mapped[Decimal]
    selling_price: Mapped[Decimal]

    order_lines: Mapped[list[OrderLine]] = relationship(back_populates="item", lazy="raise")

    __table_args__ = (
        Index(None, "name", "id"),
        Index(None, "selling_price", "id"),
        *_search_indexes("Item", "items"),
        CheckConstraint(_a_price("cost_price"), name="cost_price"),
        CheckConstraint(_a_price("selling_price"), name="selling_price"),
    )

    def __repr__(self) -> str:
        return f"<Item:{self.id}-{self.name}>"


def _selling_price_of(item_id: Mapped[int]) -> ScalarSelect[Decimal]:
    items = Item.__table__
    price = select(items.c.selling_price).where(items.c.id == item_id)
    return price.correlate_except(items).scalar_subquery()


class OrderLine(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    quantity: Mapped[int] = mapped_column(SmallInteger)
    subtotal: Mapped[Decimal] = column_property(
        quantity * _selling_price_of(item_id), deferred=True, raiseload=True
    )

    order: Mapped[Order] = relationship(back_populates="line_items", lazy="raise")
    item: Mapped[Item] = relationship(back_populates="order_lines", lazy="raise")

    # Each composite index serves the page order of one edge: an order's lines, an item's lines.
    __table_args__ = (
        Index(None, "order_id", "id"),
        Index(None, "item_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    def __repr__(self) -> str:
        return f"<OrderLine:{self.id}-{self.order_id}>"


def _sum_of_subtotals(order_id: Mapped[int]) -> ScalarSelect[Decimal]:
    lines, items = OrderLine.__table__, Item.__table__
    subtotals = func.sum(lines.c.quantity * items.c.selling_price)
    # An order without lines costs 0.00: the scale of money is kept.
    total = select(func.coalesce(subtotals, literal_column("0.00", Numeric(10, 2))))
    total = total.select_from(lines.join(items)).where(lines.c.order_id == order_id)
    return total.correlate_except(lines, items).scalar_subquery()


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    date_placed: Mapped[datetime] = mapped_column(server_default=func.now())
    total: Mapped[Decimal] = column_property(
        _sum_of_subtotals(order_id=id),  # noqa: A003  the column of this name
        deferred=True,
        raiseload=True,
    )

    customer: Mapped[Customer] = relationship(back_populates="orders", lazy="raise")
    line_items: Mapped[list[OrderLine]] = relationship(back_populates="order", lazy="raise")

    __table_args__ = (
        Index(None, "customer_id", "id"),
        Index(None, "date_placed", "id"),
        CheckConstraint(_within_four_digit_years("date_placed"), name="date_placed"),
    )

    def __repr__(self) -> str:
        return f"<Order:{self.id}-{self.customer_id}>"


# The indexes for trigrams need it.
event.listen(Base.metadata, "before_create", DDL("CREATE EXTENSION IF NOT EXISTS pg_trgm"))  # type: ignore[no-untyped-call]
