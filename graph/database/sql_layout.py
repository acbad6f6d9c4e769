"""Lays SQL out for readers: a line for each clause, and sub-selects indented.

    SELECT '{"a":'                          a text of JSON breaks before each of its members
      ||json_scalar(r0.a)
      ||',"b":'||(
        SELECT count(*)
        FROM orders
        WHERE orders.customer_id = r0.id
      )||'}'

It changes nothing but white space outside of literals, in one pass over the tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
      '(?:[^']|'')*'            # a literal
    | "(?:[^"]|"")*"            # a name in quotes
    | --[^\n]* | /\*.*?\*/      # a comment
    | \s+
    | \w+
    | \|\| | :: | [<>=!~]+ | .
    """,
    re.VERBOSE | re.DOTALL,
)
# These begin a line. ORDER BY does not within the parentheses of an aggregate.
_CLAUSES = frozenset(
    {
        *("SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "UNION"),
        *("JOIN", "LEFT", "CROSS", "INSERT", "UPDATE", "DELETE", "SET", "VALUES", "RETURNING"),
        *("WITH", "FOR"),
    }
)
# Behind these, a clause goes on.
_CONTINUED = {
    "JOIN": {"LEFT", "CROSS", "OUTER"},
    "UPDATE": {"FOR", "KEY", "DO", "BEFORE"},
    "FROM": {"DISTINCT", "DELETE"},
    "SET": {"DO", "UPDATE"},
    "OFFSET": {"ALL"},
    "SELECT": set(),
}
_QUERIES = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "VALUES"})
_INDENT = "  "


def laid_out(sql: str) -> str:
    """The statement in lines."""
    tokens = [piece for piece in _TOKEN.findall(sql.strip()) if piece]
    layout = _Layout()
    for index, piece in enumerate(tokens):
        layout.add(piece, _next_word(tokens, index))
    return layout.text


def _next_word(tokens: list[str], index: int) -> str:
    """The next piece that is no white space."""
    ahead = tokens[index + 1 : index + 3]
    return next((piece for piece in ahead if not piece.isspace()), "")


@dataclass(slots=True)
class _Layout:
    written: list[str] = field(default_factory=list)
    # For each open parenthesis: whether a query is within.
    open: list[bool] = field(default_factory=list)
    before: str = ""
    spaced: bool = False

    @property
    def text(self) -> str:
        return "".join(self.written)

    def add(self, piece: str, following: str) -> None:
        if piece.isspace():
            self.spaced = True
            return
        if piece == "(":
            self._write(piece)
            self.open.append(following.upper() in _QUERIES)
        elif piece == ")":
            if self.open and self.open.pop():
                self._break()
            self._write(piece)
        elif self._begins_line(piece, following):
            self._break()
            self._write(piece)
        else:
            self._write(piece)
        self.before = piece.upper()

    def _begins_line(self, piece: str, following: str) -> bool:
        if not self.written:
            return False
        if piece == "||":
            return following.startswith("'") and '":' in following
        word = piece.upper()
        is_clause = word in _CLAUSES and piece == word and (not self.open or self.open[-1])
        is_clause = is_clause and following != "ORDINALITY"
        return is_clause and self.before not in _CONTINUED.get(word, ())

    def _break(self) -> None:
        self.written.append("\n" + _INDENT * sum(self.open))
        self.spaced = False

    def _write(self, piece: str) -> None:
        if self.spaced and self.written and self.before != "(":
            self.written.append(" ")
        self.written.append(piece)
        self.spaced = False
