"""Alembic runs this; `graph.database.migrate` gives it the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic import context

from graph.database.effects import record
from graph.database.revisions import ENGINE
from graph.database.tables import METADATA

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, MigrationInfo


def _record(ctx: MigrationContext, step: MigrationInfo, *_: Any, **__: Any) -> None:
    record(ENGINE, ctx, step)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=ENGINE.version_table,
    transaction_per_migration=True,
    on_version_apply=_record,
)
with context.begin_transaction():
    context.run_migrations()
