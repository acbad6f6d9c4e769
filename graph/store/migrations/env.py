"""Alembic runs this; `graph.database.migrate` gives it the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import context

from graph.database.effects import record
from graph.database.revisions import store
from graph.store.log_functions import renew_log_functions
from graph.store.models import Base

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo


def _complete(ctx: MigrationContext, step: MigrationInfo, *_: Any, **__: Any) -> None:
    """Events have the columns that the tables have after each migration, in its transaction."""
    assert ctx.connection is not None  # noqa: S101  it runs on one
    renew_log_functions(ctx.connection)
    record(store(), ctx, step)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transaction_per_migration=True,
    on_version_apply=_complete,
)
with context.begin_transaction():
    context.run_migrations()
