"""How the pool of connections is used at present."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.server import Server


def pool_gauges(server: Server) -> dict[str, int]:
    """The most connections, those in use, and the operations that wait for one.

    Any thread may call it.
    """
    pool = server.pool
    return {
        "size": pool.size(),
        "in_use": pool.checkedout(),
        "waiting": pool.waiting,
    }
