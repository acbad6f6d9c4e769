"""The settings of this process, read from its environment."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from graph.errors import InvalidSetting
from graph.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# Old names of variables and their new ones. An old name is refused: ignored, it would lose a limit.
_RENAMED = {
    "GRAPH_COST_METER": "GRAPH_TOKEN_BUCKETS",
    "GRAPH_DEAR_COST": "GRAPH_EXPENSIVE_COST",
    "GRAPH_MAX_DEAR_IN_FLIGHT": "GRAPH_MAX_EXPENSIVE",
    "GRAPH_MAX_EXPENSIVE_IN_FLIGHT": "GRAPH_MAX_EXPENSIVE",
}


# Settings that hold a password: a file can have each instead, as orchestrators mount secrets.
SECRETS = ("database_url", "replica_urls", "jwt_secret", "mcp_token")
_PREFIX, _FILE = "GRAPH_", "_FILE"
# More than a secret, or many URLs, can be.
_MOST_BYTES = 65_536


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process: the environment, and the overrides that are not None.

    A secret may be in a file: `GRAPH_JWT_SECRET_FILE` names the one with `GRAPH_JWT_SECRET`.

    Raises:
        InvalidSetting: a variable has an invalid value or an old name. The message names the
            variable and leaves out its value, which may be a secret.
    """
    _refuse_old_names()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**dict(_from_files()) | given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        # A check of several settings names them in its message.
        name = f"GRAPH_{first['loc'][0]}".upper() if first["loc"] else "A setting"
        raise InvalidSetting(name, problem) from None


def _refuse_old_names() -> None:
    # As pydantic-settings reads them: in any case, and empty means unset.
    for variable, value in os.environ.items():
        new_name = _RENAMED.get(variable.upper())
        if new_name and value:
            raise InvalidSetting(variable, f"it has been renamed, set {new_name} instead")


def unknown_names() -> Iterator[str]:
    """One line for each variable of the environment that looks like a setting and is none."""
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {_file_variable(name) for name in SECRETS}
    for variable, value in sorted(os.environ.items()):
        name = variable.upper()
        if name.startswith(_PREFIX) and value and name not in known | _RENAMED.keys():
            words = [each.removeprefix(_PREFIX) for each in known]
            near = get_close_matches(name.removeprefix(_PREFIX), words, n=1, cutoff=0.7)
            hint = f" Did you mean {_PREFIX}{near[0]}?" if near else ""
            yield f"{variable} is no setting, and is ignored.{hint}"


def forget_files() -> None:
    """The variables of files leave the environment, once it has what stands in them."""
    for variable in [*os.environ]:
        if variable.upper() in {_file_variable(name) for name in SECRETS}:
            del os.environ[variable]


def _from_files() -> Iterator[tuple[str, str]]:
    given = {variable.upper(): value for variable, value in os.environ.items() if value}
    for name in SECRETS:
        path = given.get(variable := _file_variable(name))
        if path is None:
            continue
        if variable.removesuffix(_FILE) in given:
            raise InvalidSetting(variable, f"{variable.removesuffix(_FILE)} is set as well")
        yield name, _content(variable, Path(path))


def _content(variable: str, path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSetting(variable, f"{path} cannot be read: {reason}") from None
    if not content.strip() or len(content) > _MOST_BYTES:
        raise InvalidSetting(variable, f"{path} must hold one value, and no more")
    return content.strip("\r\n")


def _file_variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}{_FILE}"
