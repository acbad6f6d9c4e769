"""Alembic runs this; `graph.database.migrate` gives it the connection."""

from __future__ import annotations

from alembic import context

from graph.store.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
