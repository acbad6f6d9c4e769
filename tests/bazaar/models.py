"""What the bazaar holds: markets with stalls, goods in crates, traders who know each other.

Names of attributes differ from those of columns here and there, computed columns can be null and
mix types, and several relationships join the same two tables.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    case,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column, relationship

from graph.database import search_functions
from graph.database.catalog import catalog


class Base(DeclarativeBase):
    metadata = MetaData()


search_functions.create_with(Base.metadata)
catalog.bases.append(Base)
catalog.searched |= {"Trader": ("name",), "Good": ("label",)}
catalog.unions["Discovery"] = ("Trader", "Good")


class Mood(Enum):
    """Stored by name, in the order of their declaration."""

    SUNNY = 3
    GLOOMY = 1
    STORMY = 2


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


friendships = Table(
    "friendships",
    Base.metadata,
    Column("trader", ForeignKey("traders.id"), nullable=False),
    Column("friend", ForeignKey("traders.id"), nullable=False),
)
good_traders = Table(
    "good_traders",
    Base.metadata,
    Column("good_key", ForeignKey("goods.id"), nullable=False),
    Column("trader_id", ForeignKey("traders.id"), nullable=False),
)


class Trader(Base):
    """Keys are bigint and larger than what JSON numbers hold."""

    __tablename__ = "traders"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    mentor_id: Mapped[int | None] = mapped_column(ForeignKey("traders.id"))
    mood: Mapped[Mood | None] = mapped_column(sqlalchemy.Enum(Mood, name="mood"))
    born: Mapped[date | None] = mapped_column(Date)
    seen: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    honest: Mapped[bool | None]
    purse: Mapped[int | None] = mapped_column(BigInteger)

    mentor: Mapped[Trader | None] = relationship(
        remote_side=[id], back_populates="pupils", lazy="raise"
    )
    pupils: Mapped[list[Trader]] = relationship(back_populates="mentor", lazy="raise")
    friends: Mapped[list[Trader]] = relationship(
        secondary=friendships,
        primaryjoin=lambda: Trader.id == friendships.c.trader,
        secondaryjoin=lambda: Trader.id == friendships.c.friend,
        lazy="raise",
    )
    goods: Mapped[list[Good]] = relationship(
        secondary=good_traders, back_populates="traders", lazy="raise"
    )
    sold: Mapped[list[Deal]] = relationship(
        foreign_keys="Deal.seller_id", back_populates="seller", lazy="raise"
    )
    bought: Mapped[list[Deal]] = relationship(
        foreign_keys="Deal.buyer_id", back_populates="buyer", lazy="raise"
    )
    stall: Mapped[Stall | None] = relationship(back_populates="keeper", uselist=False, lazy="raise")

    __table_args__ = (
        CheckConstraint("born >= '0001-01-01' AND born < '10000-01-01'", name="born"),
        CheckConstraint("seen >= '0001-01-01Z' AND seen < '10000-01-01Z'", name="seen"),
    )


class Good(Base):
    """Keys are UUIDs; the attribute `label` is the column `name`."""

    __tablename__ = "goods"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    label: Mapped[str] = mapped_column("name", String(60))
    size: Mapped[Size] = mapped_column(
        sqlalchemy.Enum(Size, name="size", native_enum=False, length=10)
    )
    pieces: Mapped[int | None] = mapped_column(SmallInteger)
    price: Mapped[Decimal | None] = mapped_column(Numeric)
    weight: Mapped[float | None] = mapped_column(Double)
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    facts: Mapped[Any | None] = mapped_column(JSONB)
    serial: Mapped[UUID | None] = mapped_column(Uuid)
    contained_in: Mapped[UUID | None] = mapped_column(ForeignKey("goods.id"))
    worth: Mapped[Decimal | None] = column_property(price * pieces)
    # To SQLAlchemy it is an integer, to PostgreSQL a numeric.
    guess: Mapped[Decimal] = column_property(func.coalesce(pieces, price, 0))  # type: ignore[arg-type]
    big_label: Mapped[str | None] = column_property(
        case((func.length(label) > 2, func.upper(label)))
    )

    container: Mapped[Good | None] = relationship(
        remote_side=[id], back_populates="contents", lazy="raise"
    )
    contents: Mapped[list[Good]] = relationship(back_populates="container", lazy="raise")
    traders: Mapped[list[Trader]] = relationship(
        secondary=good_traders, back_populates="goods", lazy="raise"
    )
    deals: Mapped[list[Deal]] = relationship(back_populates="good", lazy="raise")


class Stall(Base):
    """Small keys; at most one for each trader, and some that nobody keeps."""

    __tablename__ = "stalls"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    keeper_id: Mapped[int | None] = mapped_column(ForeignKey("traders.id"), unique=True)
    # No constraint: it may lead nowhere.
    star_good: Mapped[UUID | None] = mapped_column(Uuid)

    keeper: Mapped[Trader | None] = relationship(back_populates="stall", lazy="raise")
    star: Mapped[Good | None] = relationship(
        primaryjoin="foreign(Stall.star_good) == Good.id", viewonly=True, lazy="raise"
    )


class Deal(Base):
    __tablename__ = "deals"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    seller_id: Mapped[int] = mapped_column(ForeignKey("traders.id"))
    buyer_id: Mapped[int | None] = mapped_column(ForeignKey("traders.id"))
    good_id: Mapped[UUID] = mapped_column(ForeignKey("goods.id"))
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 3))

    seller: Mapped[Trader] = relationship(
        foreign_keys=[seller_id], back_populates="sold", lazy="raise"
    )
    buyer: Mapped[Trader | None] = relationship(
        foreign_keys=[buyer_id], back_populates="bought", lazy="raise"
    )
    good: Mapped[Good] = relationship(back_populates="deals", lazy="raise")


_deals: Any = Deal.__table__
_of_trader = (
    select(func.count())
    .where(_deals.c.seller_id == Stall.keeper_id)
    .correlate_except(_deals)
    .scalar_subquery()
)
# A count is never null: what is computed of a stall that is not there would be 0.
Stall.deals_of_keeper = column_property(_of_trader)
