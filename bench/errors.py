"""What ends a bench, or leaves one server out of it.

BenchError
├── PeerMissing       what a peer needs is not on this machine: it is left out
├── ServerFailed      a server did not start, died, or did not answer as it should
└── DataDiffers       two servers do not give the same data: nothing is timed
"""

from __future__ import annotations


class BenchError(Exception):
    """Anything that is said in one line rather than in a traceback."""


class PeerMissing(BenchError):
    pass


class ServerFailed(BenchError):
    pass


class DataDiffers(BenchError):
    pass
