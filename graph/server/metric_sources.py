"""The parts of an application that its metrics are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.database.engine import Database
    from graph.database.upkeep import Upkeep
    from graph.execution.running.counts import CountedBuckets, OperationCounts
    from graph.execution.running.execute import Execution
    from graph.server.live_connections import LiveConnections
    from graph.server.webhooks.delivery import Deliverer


@dataclass(frozen=True)
class Sources:
    """What the metrics are read from. `buckets` is None where clients are not rate limited.

    `upkeep` and `deliverer` are None in an application that does not do these.
    """

    database: Database
    execution: Execution
    counts: OperationCounts
    connections: LiveConnections
    buckets: CountedBuckets | None = None
    upkeep: Upkeep | None = None
    deliverer: Deliverer | None = None
