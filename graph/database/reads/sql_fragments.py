"""SQL text in fragments: known JSON, and expressions that PostgreSQL evaluates.

An expression consists of words, and of parts that SQLAlchemy writes (`parts`): pages, look-ups,
parameters. Joining them costs a fraction of a chain of `||` operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles

from graph.database.dialect import DIALECT
from graph.database.kinds import ScalarKind
from graph.selection import Typename

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.sql.elements import ClauseElement

    from graph.database.kinds import Scalar

# PostgreSQL nests a chain of || to the left, and runs out of stack at some 4,800 operands.
_LONGEST_CHAIN = 500
_LINE_BYTES = 57
_LONGEST_KEY = len("00000000-0000-0000-0000-000000000000")


class Json(str):
    """A fragment of the answer that is already known."""

    __slots__ = ()


# An SQL expression: words, and parts that SQLAlchemy writes (`parts.Part`).
Sql: TypeAlias = "tuple[str | Any, ...]"
# Text is a chain of pieces, to be concatenated.
SqlText: TypeAlias = "list[Json | Sql]"


class Expression(ColumnElement[Any]):
    """Words and clauses, which stand in a statement one after another."""

    inherit_cache = False
    type = Text()

    def __init__(self, *sql: str | ClauseElement) -> None:
        self.sql = sql


@compiles(Expression)
def _compile_expression(element: Expression, compiler: SQLCompiler, **_: Any) -> str:
    return "".join(
        part if isinstance(part, str) else compiler.process(part) for part in element.sql
    )


def named(alias: str, column: str) -> str:
    return f"{alias}.{DIALECT.identifier_preparer.quote(column)}"


def separated(items: Iterable[Sql], separator: str = ", ") -> Sql:
    pieces = [piece for item in items for piece in (separator, *item)]
    return tuple(pieces[1:])


def object_of(members: Iterable[tuple[str, SqlText]]) -> SqlText:
    pieces: SqlText = [Json("{")]
    for nth, (key, value) in enumerate(members):
        pieces += [Json(f'{"," if nth else ""}"{key}":'), *value]
    return [*pieces, Json("}")]


def typename_of(field: Any) -> SqlText:
    """What is left when all that needs rows was written: `__typename`."""
    if not isinstance(field, Typename):
        raise NotImplementedError(field)
    return [Json(f'"{field.text}"')]


def json_of(
    scalar: Scalar, value: str, *, nullable: bool, function: str = "to_json", absent: str = "'null'"
) -> SqlText:
    """The JSON of a value; the standard path must produce the same (`schema.scalars`).

    `absent` is the SQL that replaces a NULL.
    """
    pieces = _json_of(scalar, value, function)
    if nullable:
        return [("coalesce((", *concatenated(pieces), f")::text,{absent})")]
    return pieces


def _json_of(scalar: Scalar, value: str, function: str) -> SqlText:
    if scalar.references is not None:
        return global_id_of(scalar.references, value)
    match scalar.kind:
        case ScalarKind.INTEGER | ScalarKind.COUNT:
            return [(value,)]
        case ScalarKind.DECIMAL | ScalarKind.BIGINT:
            return [Json('"'), (value,), Json('"')]
        case ScalarKind.JSON:
            return [(f"{value}::text",)]
        case ScalarKind.TEXTS:
            return [(f"to_json({value})",)]
    return [(f"{function}({value})",)]


def global_id_of(entity: str, key: str) -> SqlText:
    """The global id of a row of an entity, given the SQL of its key."""
    encoded = f"encode(textsend('{entity}:'||{key}),'base64')"
    # PostgreSQL breaks the lines of base64 at 57 bytes.
    is_short = len(entity) + 1 + _LONGEST_KEY < _LINE_BYTES
    return [Json('"'), (encoded if is_short else f"replace({encoded},E'\\n','')",), Json('"')]


def concatenated(pieces: Sequence[Json | Sql]) -> Sql:
    """One SQL expression for a chain of fragments; adjacent known fragments are merged."""
    operands: list[Sql] = []
    known = ""
    for piece in (*pieces, None):
        if isinstance(piece, Json):
            known += piece
            continue
        if known or (piece is None and not operands):
            operands.append(("'" + known.replace("'", "''") + "'",))
            known = ""
        if piece is not None:
            operands.append(piece)
    return _chained(operands)


def _chained(operands: list[Sql]) -> Sql:
    if len(operands) > _LONGEST_CHAIN:
        starts = range(0, len(operands), _LONGEST_CHAIN)
        chains = (_chained(operands[start : start + _LONGEST_CHAIN]) for start in starts)
        return _chained([("(", *chain, ")") for chain in chains])
    chain: list[Any] = []
    for nth, operand in enumerate(operands):
        chain += ["||", *operand] if nth else operand
    return tuple(chain)
