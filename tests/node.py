"""Node and the packages of `tests/clients`: those that are installed, else downloaded."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENTS = Path(__file__).parent / "clients"
# `make setup` puts a Node into the virtual environment where the machine has none that will do.
_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
_INSTALL_SECONDS = 300


def run_client(script: str, *arguments: str, seconds: float = 120) -> Any:
    """Run a script of `tests/clients`, and return what its one line of JSON says.

    Skips the test where there is no Node or no packages; in CI that is a failure.
    """
    require_packages()
    done = subprocess.run(
        ["node", script, *arguments],
        cwd=_CLIENTS,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def require_packages() -> Path:
    """The folder of the packages; skips the test or fails as `run_client` does."""
    problem = _packages()
    if problem:
        if os.environ.get("CI") == "true":
            pytest.fail(problem)
        pytest.skip(problem)
    return _CLIENTS / "node_modules"


def environment() -> dict[str, str]:
    """The environment in which `node` is found."""
    return os.environ | {"PATH": _PATH}


@cache
def _packages() -> str:
    """Why the packages cannot be used; nothing if they can."""
    npm = shutil.which("npm", path=_PATH)
    if not npm or not shutil.which("node", path=_PATH):
        return "there is no Node: make setup"
    with _locked(_CLIENTS):
        return _install(npm)


def _install(npm: str) -> str:
    lock = hashlib.sha256((_CLIENTS / "package-lock.json").read_bytes()).hexdigest()
    stamp = _CLIENTS / "node_modules" / ".stamp"
    if stamp.exists() and stamp.read_text("utf-8") == lock:
        return ""
    try:
        subprocess.run(
            [npm, "ci", "--loglevel=error"],
            cwd=_CLIENTS,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"the packages of tests/clients cannot be fetched: {error}"
    stamp.write_text(lock, "utf-8")
    return ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: tests run in several."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
