"""Logging: one line per record on stderr, with the id of the request."""

from __future__ import annotations

import logging
import logging.config
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph.settings import LogLevel

_LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"

# The id of the current request; "-" outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="-")


class _WithRequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def start_logging(level: LogLevel) -> None:
    """Log to stderr from this level on; libraries from WARNING on."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"request_id": {"()": _WithRequestId}},
            "formatters": {
                "line": {"format": _LINE},
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
