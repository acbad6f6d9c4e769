"""Statements are laid out in lines, and nothing but white space changes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.database.sql_layout import laid_out


@pytest.mark.parametrize(
    ("sql", "lines"),
    [
        ("", [""]),
        ("SELECT a FROM t", ["SELECT a", "FROM t"]),
        (
            "\n  SELECT a, (SELECT count(*) FROM u WHERE u.x = t.x) AS n FROM t LIMIT $1::INTEGER",
            [
                "SELECT a, (",
                "  SELECT count(*)",
                "  FROM u",
                "  WHERE u.x = t.x",
                ") AS n",
                "FROM t",
                "LIMIT $1::INTEGER",
            ],
        ),
        (
            """SELECT '{"a":'||a||',"b":'||(SELECT b FROM u)||'}' FROM t""",
            [
                """SELECT '{"a":'||a""",
                """||',"b":'||(""",
                "  SELECT b",
                "  FROM u",
                ")||'}'",
                "FROM t",
            ],
        ),
        (
            "SELECT string_agg(a, ',' ORDER BY b) FROM unnest($1) WITH ORDINALITY AS n(a, b)",
            [
                "SELECT string_agg(a, ',' ORDER BY b)",
                "FROM unnest($1) WITH ORDINALITY AS n(a, b)",
            ],
        ),
        (
            "WITH c AS (UPDATE t SET a = $1 RETURNING *) SELECT 'it''s FROM here', \"FROM\" FROM c",
            [
                "WITH c AS (",
                "  UPDATE t",
                "  SET a = $1",
                "  RETURNING *",
                ")",
                "SELECT 'it''s FROM here', \"FROM\"",
                "FROM c",
            ],
        ),
        ("SELECT 1 FROM t FOR NO KEY UPDATE", ["SELECT 1", "FROM t", "FOR NO KEY UPDATE"]),
    ],
)
def test_each_clause_has_a_line(sql: str, lines: list[str]) -> None:
    assert laid_out(sql).split("\n") == lines


PIECES = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "(",
        ")",
        "'a  b'",
        "'it''s'",
        '"q  x"',
        ",",
        "||",
        "'\"k\":'",
        " ",
        "\n",
        "x",
    ]
)


@given(st.lists(PIECES).map(" ".join))
def test_only_white_space_changes(sql: str) -> None:
    literal = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")

    assert literal.findall(laid_out(sql)) == literal.findall(sql)
    assert re.sub(r"\s+", "", laid_out(sql)) == re.sub(r"\s+", "", sql)
    assert laid_out(laid_out(sql)) == laid_out(sql)
