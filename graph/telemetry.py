"""Logging: one line per record on stderr, with the id of the request."""

from __future__ import annotations

import logging
import logging.config
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graph.settings import LogLevel

_LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"

# C0 and C1 control characters, the line separators of Unicode, and its overrides of direction.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F))
_ESCAPES = {code: rf"\u{code:04x}" for code in _CONTROLS}

# The id of the current request; "-" outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="-")


class _WithRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class _OneLine(logging.Formatter):
    """Escapes control characters in messages, and indents tracebacks.

    A message may quote a client: no text of a client begins a line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        line = super().formatMessage(record)
        return line if line.isprintable() else line.translate(_ESCAPES)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {line.translate(_ESCAPES)}" for line in lines)


def start_logging(level: LogLevel) -> None:
    """Log to stderr from this level on; libraries from WARNING on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": _WithRequestId}},
            "formatters": {
                "line": {"()": _OneLine, "format": _LINE},
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": "line",
                    "filters": ["request_id"],
                }
            },
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "graph": {"level": level.upper()},
                # uvicorn warns of each malformed request, so anyone could fill the log.
                "uvicorn.error": {"level": "ERROR"},
            },
        }
    )
