"""PostgreSQL's dialect, for statements that are written before there is a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BindParameter
from sqlalchemy import literal_column as raw_sql
from sqlalchemy.dialects.postgresql.asyncpg import dialect as asyncpg_dialect
from sqlalchemy.sql.visitors import replacement_traverse

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

DIALECT = asyncpg_dialect()  # type: ignore[no-untyped-call]
DIALECT._backslash_escapes = False  # as all servers have it  # noqa: SLF001


def with_constants(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    """The same expression with its constants as SQL text: a statement has few parameters."""
    written: ColumnElement[Any] = replacement_traverse(expression, {}, _in_words)  # type: ignore[call-overload]
    return written


def _in_words(part: Any, **_: Any) -> ColumnElement[Any] | None:
    # A required parameter gets its value when the statement runs.
    if not isinstance(part, BindParameter) or part.required:
        return None
    words = part.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
    return raw_sql(str(words), part.type)
