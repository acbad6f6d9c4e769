"""The engine's own tables. No client can select them, and every store has them."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    event,
    func,
    text,
)

# A violation names its constraint, and by that name it becomes a typed error.
NAMING_CONVENTION = {
    "pk": "%(table_name)s_pkey",
    "fk": "%(table_name)s_%(column_0_name)s_fkey",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "ck": "%(table_name)s_%(constraint_name)s_check",
}

METADATA = MetaData(naming_convention=NAMING_CONVENTION)

# The migrations that were applied, by their chain, and the oldest code that each still serves.
applied_migrations = Table(
    "applied_migrations",
    METADATA,
    Column("chain", String(63), nullable=False),
    Column("revision", String(32), nullable=False),
    Column("serves", String(32), nullable=False),
    Column("applied_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("chain", "revision"),
)

# The answer to a mutation, by its idempotency key: a repeated request gets the same answer.
idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("viewer", String(200), nullable=False),
    Column("key", String(200), nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("answer", LargeBinary),
    Column("created_on", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("viewer", "key"),
    Index(None, "created_on"),
)

# The progress of an import, by the file's fingerprint. The row is deleted when the import ends.
imports = Table(
    "imports",
    METADATA,
    Column("source", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
    Column("refused_bytes", BigInteger, nullable=False),
    Column("added", BigInteger, nullable=False, server_default=text("0")),
    Column("changed", BigInteger, nullable=False, server_default=text("0")),
    Column("superseded", BigInteger, nullable=False, server_default=text("0")),
)

# The keys of services (`api_keys`). A revoked key stays, since the history names it.
api_keys = Table(
    "api_keys",
    METADATA,
    Column("prefix", String(20), primary_key=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("name", String(200), nullable=False),
    Column("permissions", ARRAY(String(200)), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

# Work that one process at a time does (`leases`), for as long as the lease is renewed.
leases = Table(
    "leases",
    METADATA,
    Column("name", String(200), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)

# How far a log was pruned (`pruning`): no event up to this number is left.
pruned_logs = Table(
    "pruned_logs",
    METADATA,
    Column("log", String(63), primary_key=True),
    Column("through", BigInteger, nullable=False),
    Column("pruned_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

# The receivers of events over HTTP (`webhooks`). Messages up to the event `position` were stored.
webhooks = Table(
    "webhooks",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("role", String(200), nullable=False),
    Column("query", Text, nullable=False),
    Column("secret", String(100), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("paused_at", DateTime(timezone=True)),
    Column("problem", String(500)),
    Column("previous_secret", String(100)),
    Column("previous_until", DateTime(timezone=True)),
)

# The messages that wait to be delivered; those of one subject are delivered in order.
webhook_deliveries = Table(
    "webhook_deliveries",
    METADATA,
    Column("webhook_id", BigInteger, ForeignKey("webhooks.id", ondelete="CASCADE")),
    Column("event", BigInteger, nullable=False),
    Column("subject", String(200), nullable=False),
    Column("type", String(200), nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("failing_since", DateTime(timezone=True)),
    PrimaryKeyConstraint("webhook_id", "event"),
)

# The token buckets that several processes share (`token_buckets`). A crash may empty the table. A
# bucket changes with every request: the fill factor leaves room for that in its page.
cost_buckets = Table(
    "cost_buckets",
    METADATA,
    Column("client", LargeBinary, primary_key=True),
    Column("full_at", DateTime(timezone=True), nullable=False),
    Column("given", Boolean, nullable=False),
    prefixes=["UNLOGGED"],
    postgresql_with={"fillfactor": 50},
)

# What clients use (`usage`): fields and operations, by the client's name and version.
usage = Table(
    "usage",
    METADATA,
    Column("kind", String(20), nullable=False),
    Column("name", String(300), nullable=False),
    Column("client", String(100), nullable=False),
    Column("version", String(100), nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("first_used", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_used", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("kind", "name", "client", "version"),
    postgresql_with={"fillfactor": 50},
)

# The type by which a statement checks what a replica has replayed (`replicas`).
_REPLAYED = """
    CREATE DOMAIN replayed AS pg_lsn
        CONSTRAINT replayed_as_standby CHECK (pg_catalog.pg_is_in_recovery())
        CONSTRAINT replayed_check CHECK (value <= pg_catalog.pg_last_wal_replay_lsn())
"""
event.listen(METADATA, "before_create", DDL(_REPLAYED))  # type: ignore[no-untyped-call]
event.listen(METADATA, "after_drop", DDL("DROP DOMAIN IF EXISTS replayed"))  # type: ignore[no-untyped-call]
