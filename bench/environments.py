"""Environments of Python, for the peers whose packages are not among those of the project."""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path

from bench.fetching import fetch

_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE.parent / "requirements"


@cache
def python_with(name: str) -> str:
    """The interpreter of an environment with the packages that `requirements/NAME.txt` locks.

    Raises:
        PeerMissing: they cannot be fetched.
    """
    folder, lock = _HERE / f".{name}", _REQUIREMENTS / f"{name}.txt"
    python, stamp = folder / "bin" / "python", folder / ".stamp"
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version}"
    if not stamp.exists() or stamp.read_text() != wanted:
        problem = f"the packages of {name} cannot be fetched"
        fetch((sys.executable, "-m", "venv", "--clear", str(folder)), problem)
        fetch(
            (str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)),
            problem,
        )
        stamp.write_text(wanted)
    return str(python)


def version_in(name: str, package: str) -> str:
    """The version of a package that `requirements/NAME.txt` locks."""
    lines = (_REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    wanted = f"{package}=="
    return next(line.split()[0].removeprefix(wanted) for line in lines if line.startswith(wanted))
