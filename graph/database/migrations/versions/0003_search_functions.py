"""The functions that a search is made of."""

from __future__ import annotations

from alembic import op

from graph.database.search_functions import CREATE, DROP

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in CREATE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    for statement in DROP:
        op.execute(statement)
