"""Logging: one line per record on stderr, as text or as JSON, with the id of the request."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from graph.settings import LogFormat

if TYPE_CHECKING:
    from graph.settings import LogLevel

_LINE = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"

# C0 and C1 control characters, the line separators of Unicode, and its overrides of direction.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F))
_ESCAPES = {code: rf"\u{code:04x}" for code in _CONTROLS}

# The id of the current request; "-" outside of requests.
request_id: ContextVar[str] = ContextVar("request_id", default="-")


# The name of the step that is a statement.
STATEMENT = "postgresql"
_MOST_STEPS = 500


class Step(NamedTuple):
    """A part of a request's work, from and to a time in nanoseconds since 1970."""

    name: str
    began: int
    ended: int
    attributes: dict[str, str]


# The steps of the current request; None unless it is traced.
steps: ContextVar[list[Step] | None] = ContextVar("steps", default=None)


def note(made: Step) -> None:
    """Note a step of the current request, if that is traced.

    What a stream has started may go on for long, so that their number is bounded.
    """
    noted = steps.get()
    if noted is not None and len(noted) < _MOST_STEPS:
        noted.append(made)


class step:  # noqa: N801  a context manager, read as a word
    """Note the block as a step of the current request, if that is traced."""

    __slots__ = ("_began", "_name")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._began = time_ns()

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        attributes = {} if error is None else {"error.type": type(error).__name__}
        note(Step(self._name, self._began, time_ns(), attributes))


class Fields(dict[str, Any]):
    """A message that is made of named values: members of their own in a line of JSON."""

    def __str__(self) -> str:
        """Texts in quotes, as in JSON, so that none looks like another field."""
        return " ".join(f"{name}={_json(value)}" for name, value in self.items())


def milliseconds(seconds: float) -> float:
    """A duration as it is logged, to a tenth of a millisecond."""
    return round(seconds * 10_000) / 10


class _OneLine(logging.Formatter):
    """Escapes control characters in messages, and indents tracebacks.

    A message may quote a client: no text of a client begins a line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.request_id = request_id.get()
        line = super().formatMessage(record)
        return line if line.isprintable() else line.translate(_ESCAPES)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        del datefmt
        return _time_of(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {line.translate(_ESCAPES)}" for line in lines)


class _JsonLine(logging.Formatter):
    """One JSON object for each record; a traceback is a member of it."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": request_id.get(),
        }
        if isinstance(record.msg, Fields):
            line |= record.msg
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        text = _json(line)
        # JSON has escapes for the controls below U+0020, and ASCII has one more.
        return text if text.isascii() and "\x7f" not in text else text.translate(_ESCAPES)


def start_logging(level: LogLevel, format_: LogFormat | None = None) -> None:
    """Log to stderr from this level on; libraries from WARNING on.

    Without a format it is text on a terminal, and JSON otherwise.
    """
    if format_ is None:
        format_ = LogFormat.TEXT if sys.stderr.isatty() else LogFormat.JSON
    # No line shows these; looking them up costs as much as writing one (logging's documentation,
    # "Optimization").
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                LogFormat.TEXT: {"()": _OneLine, "format": _LINE},
                LogFormat.JSON: {"()": _JsonLine},
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": format_,
                }
            },
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "graph": {"level": level.upper()},
                # uvicorn warns of each malformed request, so anyone could fill the log.
                "uvicorn.error": {"level": "ERROR"},
                # OpenTelemetry warns of each malformed `tracestate`, and quotes it whole.
                "opentelemetry.trace.span": {"level": "ERROR"},
            },
        }
    )


def _time_of(record: logging.LogRecord) -> str:
    seconds, milliseconds = divmod(int(record.created * 1000), 1000)
    return f"{_text_of(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=1)
def _text_of(seconds: int) -> str:
    """A time to the second, which many lines have in common."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a half of a surrogate pair, which orjson refuses
        return json.dumps(value)
