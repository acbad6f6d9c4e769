"""Tokens with which clients read their own writes, wherever they read.

A token is a position in the primary's write-ahead log at which a change had been flushed. A replica
that has replayed the log up to there shows the change. Timelines are numbered by PostgreSQL: each
promotion begins one, and positions of two timelines cannot be compared.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from graph.errors import InvalidConsistencyToken, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.database.server import Server

# As PostgreSQL writes a timeline and a position, such as `1-0/16B3748`. The driver takes positions
# of 63 bits.
_HALF = r"[0-9A-Fa-f]{1,7}"
_TOKEN = re.compile(rf"([0-9]{{1,10}})-([0-7]{_HALF}|{_HALF})/([0-9A-Fa-f]{{1,8}})")

# The position that is inserted may belong to a transaction that is still open: replicas would wait
# for others. The name of a file of the log begins with its timeline, from the promotion on.
FLUSHED = """
    SELECT ('x' || left(pg_walfile_name(flushed), 8))::bit(32)::bigint AS timeline, flushed
    FROM pg_current_wal_flush_lsn() AS flushed
"""


class ConsistencyToken(NamedTuple):
    """All that was committed up to a position of a timeline."""

    timeline: int
    position: int

    @classmethod
    def parse(cls, text: Any) -> Self:
        """Read a token as clients send it.

        Raises:
            InvalidConsistencyToken: the text is no token.
        """
        found = _TOKEN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise InvalidConsistencyToken
        timeline, high, low = found.groups()
        return cls(int(timeline), int(high, 16) << 32 | int(low, 16))

    def __str__(self) -> str:
        return f"{self.timeline}-{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"


# Of a timeline that never is, and later than all others: whoever sends it reads from the primary.
ONLY_PRIMARY = ConsistencyToken(2**32 - 1, 0)


def latest(tokens: Iterable[ConsistencyToken | None]) -> ConsistencyToken | None:
    """The token of all that these stand for together."""
    return max((token for token in tokens if token is not None), default=None)


async def current_token(primary: Server) -> ConsistencyToken:
    """The token of all that is committed now; `ONLY_PRIMARY` where the primary does not tell."""
    try:
        timeline, flushed = await primary.first(FLUSHED)
    except Unavailable:
        return ONLY_PRIMARY
    return ConsistencyToken(timeline, flushed)
