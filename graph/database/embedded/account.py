"""The account that runs PostgreSQL: it refuses root, and root's folders are closed to others."""

from __future__ import annotations

import logging
import os
import pwd
import stat
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from graph.errors import DataDirUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_log = logging.getLogger("graph.database.embedded")

# PostgreSQL does not inherit the caller's environment (a missing locale, PGDATA, PGPORT).
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_COMMAND_SECONDS = 120


@dataclass(frozen=True)
class Account:
    """The owner of the cluster and its processes: our account, or for root an unprivileged one."""

    uid: int
    gid: int
    name: str

    @property
    def is_oneself(self) -> bool:
        return self.uid == os.geteuid()

    def clients(self) -> list[str]:
        """The names of the accounts that may connect to PostgreSQL.

        The account that root borrows runs other processes too, and they may not.
        """
        is_borrowed = not self.is_oneself and self.uid == _unprivileged().uid
        return sorted({_name(0), *([] if is_borrowed else [self.name])})

    def run(
        self,
        *command: str | Path,
        stdin: str = "",
        stderr: int | IO[bytes] = subprocess.PIPE,
        lent: Sequence[int] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as this account, in a new session; it inherits the descriptors `lent`.

        In a session of its own, Ctrl-C and a SIGTERM to our process group do not reach it.
        """
        return subprocess.run(  # noqa: S603  our own binaries and /bin/sh
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=lent,
            cwd="/",
            env=_ENVIRONMENT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            timeout=_COMMAND_SECONDS,
            check=False,
            user=None if self.is_oneself else self.uid,
            group=None if self.is_oneself else self.gid,
            extra_groups=None if self.is_oneself else [],
        )

    def receive(self, path: Path | int) -> None:
        """Give a file or folder that we created to this account."""
        if not self.is_oneself:
            os.chown(path, self.uid, self.gid)

    @contextmanager
    def open_file(self, path: Path) -> Iterator[IO[bytes]]:
        """Open a file of this account for locking or appending; create it if it is missing."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
            self.receive(file.fileno())
            yield file

    def open_way_to(self, folders: Iterable[Path]) -> None:
        """Let this account enter the folders: add o+x to closed ones on the way, nothing else.

        Raises:
            DataDirUnusable: o+x is not enough, because of an ACL. The message names the folder.
        """
        opened = [closed for folder in folders for closed in self._open(folder)]
        if opened:
            _log.warning(
                "opened (chmod o+x) for the account %s, which runs PostgreSQL: %s",
                self.name,
                ", ".join(str(folder) for folder in opened),
            )

    def _open(self, folder: Path) -> list[Path]:
        if self.is_oneself or self._can_enter(folder):
            return []
        way = (*reversed(folder.parents), folder)
        return [step for step in way if not self._can_enter(step) and self._open_one(step)]

    def _open_one(self, folder: Path) -> bool:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
        if self._can_enter(folder):
            return True
        raise DataDirUnusable(
            f"the account {self.name}, which runs PostgreSQL, cannot enter {folder}."
            " Choose another folder with GRAPH_DATA_DIR."
        )

    def _can_enter(self, folder: Path) -> bool:
        # Ask the kernel: mode bits do not show ACLs.
        return self.run("/bin/sh", "-c", 'cd -- "$1"', "sh", folder).returncode == 0


def account_for(cluster: Path) -> Account:
    """The owner of the cluster, or its future owner if the folder does not exist yet.

    Raises:
        DataDirUnusable: this process cannot run commands as that account.
    """
    myself = os.geteuid()
    if cluster.exists():
        owner = cluster.stat()
        _check_owner(cluster, owner.st_uid)
        return Account(owner.st_uid, owner.st_gid, _name(owner.st_uid))
    return Account(myself, os.getegid(), _name(myself)) if myself != 0 else _unprivileged()


def _check_owner(cluster: Path, owner: int) -> None:
    myself = os.geteuid()
    if owner == 0:
        raise DataDirUnusable(
            f"{cluster} belongs to root, and PostgreSQL refuses to run as root."
            f" Give it to another account: chown -R nobody '{cluster}'"
        )
    if myself not in {0, owner}:
        raise DataDirUnusable(
            f"{cluster} belongs to the account {_name(owner)}, not to {_name(myself)}."
            " Run as that account, or choose another folder with GRAPH_DATA_DIR."
        )


def _unprivileged() -> Account:
    """An existing account, `nobody` preferred: no account is ever added."""
    candidates = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    for entry in sorted(candidates, key=lambda entry: entry.pw_name != "nobody"):
        return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)
    raise DataDirUnusable(
        "PostgreSQL does not run as root, and this machine has no other account."
        " Add one and run as it, or set GRAPH_DATABASE_URL."
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
