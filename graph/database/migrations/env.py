"""Alembic runs this; `graph.database.migrate` gives it the connection."""

from __future__ import annotations

from alembic import context

from graph.database.revisions import ENGINE
from graph.database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=ENGINE.version_table,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
