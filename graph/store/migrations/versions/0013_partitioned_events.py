"""Events are partitioned by their number, and each partition is guarded.

It runs while the store is in use: `graph.database.partitions.conversion` says how.
"""

from __future__ import annotations

from alembic import op

from graph.database.partitions.conversion import merge, partition

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

locks = {
    "events": "ACCESS EXCLUSIVE",
}

_REFUSE_CHANGE = """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN{unless}
        RAISE EXCEPTION 'events are neither changed nor deleted';
    END
    $$
"""
_UNLESS_PRUNING = """
        IF TG_OP = 'DELETE' AND current_setting('graph.pruning', true) = 'on' THEN
            RETURN NULL;
        END IF;"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(_REFUSE_CHANGE.format(unless=_UNLESS_PRUNING))
        partition(op.get_bind(), "events", dry_run_keys="dry_run_keys")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        merge(op.get_bind(), "events")
        op.execute(_REFUSE_CHANGE.format(unless=""))
