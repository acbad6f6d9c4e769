"""Types of columns beyond SQLAlchemy's own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, cast
from sqlalchemy.types import UserDefinedType


class JsonText(UserDefinedType[str]):
    """`jsonb` in the table and its text in Python: numbers keep their digits."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"

    def bind_expression(self, bindvalue: Any) -> ColumnElement[Any]:
        return cast(cast(bindvalue, Text), self)

    def column_expression(self, column: Any) -> ColumnElement[Any]:
        return cast(column, Text)
