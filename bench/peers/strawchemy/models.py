"""The tables of the store as strawchemy wants them: entities, columns, relationships."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, ForeignKey, Numeric, func, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    column_property,
    mapped_column,
    relationship,
)


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own spelling
        datetime: DateTime(timezone=True),
        Decimal: Numeric(10, 2),
        int: BigInteger,
    }


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    first_name: Mapped[str]
    last_name: Mapped[str]
    username: Mapped[str]
    email: Mapped[str]
    address: Mapped[str]
    town: Mapped[str]
    created_on: Mapped[datetime]
    updated_on: Mapped[datetime]
    version: Mapped[int]

    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    cost_price: Mapped[Decimal]
    selling_price: Mapped[Decimal]


class OrderLine(Base):
    __tablename__ = "order_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    quantity: Mapped[int]
    unit_price: Mapped[Decimal]

    order: Mapped[Order] = relationship(back_populates="line_items")
    item: Mapped[Item] = relationship()


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    date_placed: Mapped[datetime]
    status: Mapped[str]
    version: Mapped[int]
    total: Mapped[Decimal] = column_property(
        select(func.coalesce(func.sum(OrderLine.quantity * OrderLine.unit_price), Decimal("0.00")))
        .where(OrderLine.order_id == id)  # noqa: A003  the column of this name
        .correlate_except(OrderLine)
        .scalar_subquery(),
        deferred=True,
    )

    customer: Mapped[Customer] = relationship(back_populates="orders")
    line_items: Mapped[list[OrderLine]] = relationship(back_populates="order")
