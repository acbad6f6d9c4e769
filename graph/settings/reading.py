"""The settings of this process, read from its environment."""

from __future__ import annotations

import os
from typing import Any

from pydantic import ValidationError

from graph.errors import InvalidSetting
from graph.settings.settings import Settings

# Old names of variables and their new ones. An old name is refused: ignored, it would lose a limit.
_RENAMED = {
    "GRAPH_COST_METER": "GRAPH_TOKEN_BUCKETS",
    "GRAPH_DEAR_COST": "GRAPH_EXPENSIVE_COST",
    "GRAPH_MAX_DEAR_IN_FLIGHT": "GRAPH_MAX_EXPENSIVE",
    "GRAPH_MAX_EXPENSIVE_IN_FLIGHT": "GRAPH_MAX_EXPENSIVE",
}


def read_settings(**overrides: Any) -> Settings:
    """The settings of this process: the environment, and the overrides that are not None.

    Raises:
        InvalidSetting: a variable has an invalid value or an old name. The message names the
            variable and leaves out its value, which may be a secret.
    """
    _refuse_old_names()
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
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
