"""Sign-in without an identity provider: graph issues tokens itself, to try roles out.

Only the embedded database under the development profile has it. Tokens are signed with a key in the
data folder, so they are of no use elsewhere.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import SecretStr

from graph.errors import DataDirUnusable, StartupError
from graph.server.demo import AUDIENCE, OWN_CLAIM, ROLE_CLAIM, demo_token
from graph.settings import DEVELOPMENT_ISSUER, Profile

if TYPE_CHECKING:
    from pathlib import Path

    from graph.settings import Settings

_KEY_FILE = "token.key"
_KEY_BYTES = 32


def issues_tokens(settings: Settings) -> bool:
    """Whether `development_token` has tokens under these settings."""
    is_development = settings.profile is Profile.DEVELOPMENT
    return is_development and settings.database_url is None and settings.jwt_issuer is None


def with_own_issuer(settings: Settings) -> Settings:
    """The settings under which the tokens of `development_token` are accepted.

    Raises:
        DataDirUnusable: the key cannot be kept in the data folder.
    """
    trust = {
        "jwt_issuer": DEVELOPMENT_ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_secret": SecretStr(_key(settings.data_dir)),
        "jwt_role_claim": ROLE_CLAIM,
        "jwt_roles": (),
        "jwt_own_claim": OWN_CLAIM,
    }
    return settings.model_copy(update=trust)


def development_token(
    settings: Settings, role: str, own: int | None = None, *, seconds: int
) -> str:
    """A token for a role; `own` is the key of the row that the viewer is.

    Raises:
        StartupError: an identity provider issues tokens, or should.
        DataDirUnusable: the key cannot be kept in the data folder.
    """
    if not issues_tokens(settings):
        raise StartupError(
            "graph issues tokens for the embedded database in the development profile, and without"
            " GRAPH_JWT_ISSUER; elsewhere an identity provider does."
        )
    return demo_token(_key(settings.data_dir), role, own, seconds=seconds)


def _key(data_dir: Path) -> str:
    """The key in the folder; made if there is none yet."""
    path = data_dir / _KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        key = path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "it is not a key"
        raise DataDirUnusable(f"the key {path} cannot be used: {problem}.") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise DataDirUnusable(f"others may read the key {path}: chmod 600, or remove it.")
    if len(key) < 2 * _KEY_BYTES:
        raise DataDirUnusable(f"the key {path} is too short. Remove it, and start again.")
    return key


def _make_key(path: Path) -> None:
    """Write a new key at once: a process that starts meanwhile finds none, or all of it."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(_KEY_BYTES)}\n")
        with suppress(FileExistsError):  # another process was first
            os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
