"""The settings, read once from environment variables with the prefix `GRAPH_`.

Names carry the units. A variable that was renamed is refused under its old name.
"""

from graph.settings.choices import (
    DocumentsMode,
    ExecutionMode,
    LogFormat,
    LogLevel,
    Profile,
    TokenBucketMode,
)
from graph.settings.reading import read_settings
from graph.settings.settings import DEVELOPMENT_ISSUER, Settings

__all__ = [
    "DEVELOPMENT_ISSUER",
    "DocumentsMode",
    "ExecutionMode",
    "LogFormat",
    "LogLevel",
    "Profile",
    "Settings",
    "TokenBucketMode",
    "read_settings",
]
