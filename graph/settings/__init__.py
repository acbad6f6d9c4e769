"""The settings, read once from environment variables with the prefix `GRAPH_`.

Names carry the units. A variable that was renamed is refused under its old name. A secret can be
in a file.
"""

from graph.settings.choices import (
    DocumentsMode,
    ExecutionMode,
    LogFormat,
    LogLevel,
    Profile,
    TokenBucketMode,
)
from graph.settings.reading import SECRETS, forget_files, read_settings, unknown_names
from graph.settings.settings import DEVELOPMENT_ISSUER, Settings

__all__ = [
    "DEVELOPMENT_ISSUER",
    "SECRETS",
    "DocumentsMode",
    "ExecutionMode",
    "LogFormat",
    "LogLevel",
    "Profile",
    "Settings",
    "TokenBucketMode",
    "forget_files",
    "read_settings",
    "unknown_names",
]
