"""Runs uvicorn on a socket that was bound before anything else was started."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors import ChangeReload, Multiprocess

from graph.errors import AddressUnavailable, WorkerFailed
from graph.server.loop import Loop
from graph.server.protocol import BoundedProtocol
from graph.server.socket_protocol import BoundedSocketProtocol
from graph.settings import forget_files

if TYPE_CHECKING:
    from graph.settings import Settings

logger = logging.getLogger(__name__)

# The time for running requests to end after SIGTERM.
_DRAIN_SECONDS = 15
# Imported by each worker: the server does not know the store.
_FACTORY = "graph.app:served_app"
# A collection of 10,000 young objects stops the process for 8 ms, and one of 50,000 for 70: new
# texts leave many. Old objects are caches, which are hardly ever garbage.
_GC_THRESHOLDS = (10_000, 5, 1_000)
# The most connections that wait to be accepted; uvicorn's default.
_BACKLOG = 2048


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening socket at this address. Clients that connect early wait until it is served.

    It listens already, since two sockets that are only bound may share an address.

    Raises:
        AddressUnavailable: the port is in use, or the host is not an address of this machine.
    """
    try:
        return _listening(host, port)
    except OSError as error:
        raise AddressUnavailable(host, port, error.strerror or str(error)) from None
    except UnicodeError:
        raise AddressUnavailable(host, port, "Not a valid host name") from None


def serve(settings: Settings, listener: socket.socket, *, workers: int, reload: bool) -> None:
    """Serve until SIGINT or SIGTERM, then let running requests end, and return.

    Workers are separate processes and read the settings from the environment.

    Raises:
        InvalidSetting: a variable holds a value with which nothing can be served.
        WorkerFailed: a worker could not start.
    """
    forget_files()
    os.environ.update(settings.environment())
    config = uvicorn.Config(
        _FACTORY,
        factory=True,
        workers=workers,
        reload=reload,
        reload_dirs=["graph"] if reload else None,
        log_config=None,
        access_log=False,
        server_header=False,
        loop=f"{Loop.__module__}:{Loop.__name__}",
        http=BoundedProtocol,
        ws=BoundedSocketProtocol,
        ws_max_size=settings.max_body_bytes,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        ws_per_message_deflate=settings.compress_sockets,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    server = uvicorn.Server(config)
    if reload:
        ChangeReload(config, target=server.run, sockets=[listener]).run()
    elif workers > 1:
        # A setting that an application cannot be made with is refused here: a worker would fail
        # with it again and again.
        import_from_string(_FACTORY)()
        supervisor = _Supervisor(config, sockets=[listener])
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise WorkerFailed
    else:
        # uvicorn raises the signal again after draining; the caller must still clean up.
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


class _Supervisor(Multiprocess):
    """Starts workers again, and logs in one line why each of them ended."""

    def keep_subprocess_alive(self) -> None:
        workers = list(self.processes)
        super().keep_subprocess_alive()
        for old, new in zip(workers, self.processes, strict=True):
            if old is not new:
                end = _end(old.exitcode or 0)
                logger.error("worker %d %s; worker %d takes its place", old.pid, end, new.pid)


def _end(code: int) -> str:
    """How a process ended; a worker that gives no sign of life is killed by this one."""
    return f"ended with code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"


def tune_garbage_collector() -> None:
    """Exempt all that start-up has made from collections, and make them rare.

    Each collection of these objects would stop the process for 80 ms. Reference counting frees most
    of what a request leaves behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _listening(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.set_inheritable(True)
    return listener
