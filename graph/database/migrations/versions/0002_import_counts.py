"""An import counts what became of its rows."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

locks = {
    "imports": "ACCESS EXCLUSIVE",
}
downgrade_drops = (
    "imports.added",
    "imports.changed",
    "imports.superseded",
)


def upgrade() -> None:
    op.execute("""
        ALTER TABLE imports
            ADD added bigint NOT NULL DEFAULT 0,
            ADD changed bigint NOT NULL DEFAULT 0,
            ADD superseded bigint NOT NULL DEFAULT 0
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE imports DROP added, DROP changed, DROP superseded")
