"""Packages are fetched from their registries by the ordinary programs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.errors import PeerMissing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECONDS = 600


def fetch(
    command: tuple[str, ...],
    problem: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a command that fetches something.

    Raises:
        PeerMissing: it fails; the message is the problem and the last line of its output.
    """
    try:
        subprocess.run(  # noqa: S603
            command,
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise PeerMissing(f"{problem}: {said[-1] if said else error}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{problem}: {error}") from None
