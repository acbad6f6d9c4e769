"""What a migration does to a database that is in use, as its file declares it.

    serves            the oldest code that works afterwards, by its newest revision; without it,
                      only code that has this migration
    is_required       False if the code of its own version works before it, too
    locks             by table that exists already: the strongest lock that is held, and what is
                      done meanwhile, as in "ACCESS EXCLUSIVE" and "SHARE, reads all rows"
    drops             tables and columns with rows that are lost, as in ("items.nickname",)
    downgrade_drops   the same, for the way back

Tests measure all of it: locks in `pg_locks`, rows that are read or written anew in the catalog.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alembic.runtime.migration import MigrationContext, MigrationInfo
    from alembic.script import Script

    from graph.database.revisions import Chain

_HAS_TABLE = text("SELECT to_regclass('applied_migrations') IS NOT NULL")
_APPLIED = text("""
    INSERT INTO applied_migrations (chain, revision, serves) VALUES (:chain, :revision, :serves)
    ON CONFLICT (chain, revision) DO UPDATE SET serves = excluded.serves, applied_at = now()
""")
_UNDONE = text("DELETE FROM applied_migrations WHERE chain = :chain AND revision = :revision")

# It stops neither who reads nor who writes.
_HARMLESS = "SHARE UPDATE EXCLUSIVE"


@dataclass(frozen=True, slots=True)
class Step:
    """One migration that is about to be applied or undone."""

    chain: str
    revision: str
    title: str
    is_upgrade: bool
    locks: Mapping[str, str]
    drops: tuple[str, ...]

    @classmethod
    def of(cls, script: Script, chain: str, *, is_upgrade: bool) -> Step:
        declared = vars(script.module)
        return cls(
            chain,
            script.revision,
            script.doc.splitlines()[0].rstrip("."),
            is_upgrade,
            declared.get("locks", {}) if is_upgrade else {},
            declared.get("drops" if is_upgrade else "downgrade_drops", ()),
        )

    def lines(self) -> Iterator[str]:
        """The step as an operator reads it: what waits for it, and what is lost."""
        yield f"{self.chain} {self.revision}{'' if self.is_upgrade else ' is undone'}: {self.title}"
        if not self.is_upgrade:
            yield "  for a store that nobody uses meanwhile"
        elif not self.locks:
            yield "  locks no table that exists"
        for table, lock in self.locks.items():
            harmless = ": others read and write" if lock == _HARMLESS else ""
            yield f"  locks {table} ({lock}){harmless}"
        if self.drops:
            yield f"  drops {', '.join(self.drops)}"


def record(chain: Chain, ctx: MigrationContext, step: MigrationInfo) -> None:
    """Record a migration in the transaction that applies or undoes it."""
    assert ctx.connection is not None  # noqa: S101  it runs on one
    if not ctx.connection.scalar(_HAS_TABLE):  # before the migration that adds it
        return
    for script in cast("tuple[Script, ...]", step.up_revisions):
        key = {"chain": chain.name, "revision": script.revision}
        if step.is_upgrade:
            serves = getattr(script.module, "serves", script.revision)
            ctx.connection.execute(_APPLIED, key | {"serves": serves})
        else:
            ctx.connection.execute(_UNDONE, key)
