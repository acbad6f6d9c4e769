"""`graph import` and `graph export`: rows and nodes in files and pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.command_line import answer, complaint, graph, output_of

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_go_out_into_a_file_and_come_back(database_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return graph(*arguments, GRAPH_DATABASE_URL=database_url)

    rows, items = tmp_path / "rows.ndjson", tmp_path / "items.csv"
    output_of(run("seed", "--customers", "30"))
    assert (
        output_of(run("export", "customers", "--out", str(rows))) == f"Wrote 30 rows to {rows}.\n"
    )
    assert output_of(run("export", "items", "--out", str(items))) == f"Wrote 200 rows to {items}.\n"
    with rows.open("a") as more:
        more.write("{}\n")

    refused = run("import", str(rows), "--into", "customers")

    side = f"{rows}.refused.ndjson"
    assert (refused.returncode, refused.stderr) == (1, "")
    assert refused.stdout == (
        "Read 31 rows: added 0, changed 0, unchanged 30, superseded 0, refused 1.\n"
        f"The refused rows are in {side}, the reasons in {side}.problems.ndjson.\n"
    )
    done = output_of(run("import", str(items), "--into", "items"))
    assert done == "Read 200 rows: added 0, changed 0, unchanged 200, superseded 0, refused 0.\n"
    assert answer(database_url, "SELECT count(*) FROM customers") == 30
    assert answer(database_url, "SELECT max(version) FROM items") == 1


def test_the_nodes_of_a_query_go_out_into_a_file(database_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return graph(*arguments, GRAPH_DATABASE_URL=database_url)

    rows = tmp_path / "rows.ndjson"
    output_of(run("seed", "--customers", "30"))
    query = """query ($after: String) { customers(first: 7, after: $after) {
        nodes { username orders { totalCount } } pageInfo { hasNextPage endCursor } } }"""

    assert output_of(run("export", query, "--out", str(rows))) == f"Wrote 30 rows to {rows}.\n"
    usernames = [json.loads(line)["username"] for line in rows.read_text().split("\n") if line]
    assert len(set(usernames)) == 30

    for wrong, why in (
        ("{ customers { nodes { id } } }", "a query to be exported has one connection"),
        (f"query ($after: String) {{ nothing(after: $after) {{ {_PAGE} }} }}", "query is refused"),
        ("nothing", "it must be one of customers, items, orders, or a query"),
        ("query { customers { nodes { id } pageInfo { hasNextPage endCursor } } }", "has one"),
        *((text, why) for text, why in PARTIAL),
    ):
        before = rows.read_bytes()
        assert why in complaint(run("export", wrong, "--out", str(rows)))
        assert rows.read_bytes() == before
    assert answer(database_url, "SELECT count(*) FROM items") == 200
    assert [path.name for path in tmp_path.iterdir()] == ["rows.ndjson"]


_PAGE = "nodes { id } pageInfo { hasNextPage endCursor }"
_PRICES = 'costPrice: "1", sellingPrice: "1"'
# Queries that would give a part of the nodes, or do something else; and why they are refused.
PARTIAL = (
    (
        f'mutation {{ createItem(input: {{name: "x", {_PRICES}}}) {{ __typename }} }}',
        "only a query",
    ),
    (f"mutation ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }}", "only a query"),
    (f"subscription ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }}", "only a query"),
    (
        f"query A ($after: String) {{ customers(after: $after) {{ {_PAGE} }} }} query B {{ a }}",
        "one",
    ),
    (f"query ($after: String) {{ customers(after: $after, last: 5) {{ {_PAGE} }} }}", "'last'"),
    (f"query ($after: String) {{ customers(before: $after) {{ {_PAGE} }} }}", "'before'"),
    (f"{{ customers(first: 5) {{ {_PAGE} }} }}", "has one connection"),
    (f'{{ customers(after: "x") {{ {_PAGE} }} }}', "has one connection"),
    (
        """query ($after: String) { customers(after: $after) {
            nodes { id } pageInfo { hasNextPage: hasPreviousPage endCursor } } }""",
        "without aliases",
    ),
    (
        """query ($after: String) { customers(after: $after) {
            nodes { id } pageInfo { ...P } } }
        fragment P on PageInfo { hasNextPage: hasPreviousPage endCursor }""",
        "without aliases",
    ),
    (
        """query ($after: String) { customers(after: $after) {
            nodes @include(if: true) { id } pageInfo { hasNextPage endCursor } } }""",
        "without aliases and directives",
    ),
    (
        f"""query ($after: String) {{
            customers(after: $after) {{ {_PAGE} }} items {{ totalCount }} }}""",
        "has one connection",
    ),
    ("query { customers(", "Syntax Error"),
)


def test_a_query_of_fragments_and_another_variable_is_exported(
    database_url: str, tmp_path: Path
) -> None:
    output_of(graph("seed", "--customers", "30", GRAPH_DATABASE_URL=database_url))
    query = """query ($from: String) { ...Q }
        fragment Q on Query { all: customers(after: $from, first: 9) { ...C } }
        fragment C on CustomerConnection { nodes { id } ... { pageInfo { ...P } } }
        fragment P on PageInfo { hasNextPage endCursor }"""
    rows = tmp_path / "rows.ndjson"

    done = graph("export", query, "--out", str(rows), GRAPH_DATABASE_URL=database_url)

    assert output_of(done) == f"Wrote 30 rows to {rows}.\n"


def test_an_export_that_fails_leaves_the_old_file(database_url: str, tmp_path: Path) -> None:
    rows, folder = tmp_path / "rows.ndjson", tmp_path / "folder"
    rows.write_text("old")
    rows.chmod(0o640)
    link = tmp_path / "link.ndjson"
    link.symlink_to(rows)

    def export(what: str, out: Path) -> subprocess.CompletedProcess[str]:
        return graph("export", what, "--out", str(out), GRAPH_DATABASE_URL=database_url)

    assert "the query is refused" in complaint(export("query { nothing", rows))
    assert "cannot be written" in complaint(export("customers", folder / "rows.ndjson"))
    assert rows.read_text() == "old"

    output_of(export("customers", link))

    assert rows.read_text() == ""
    assert rows.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.ndjson", "rows.ndjson"]


def test_rows_come_through_a_pipe(database_url: str, tmp_path: Path) -> None:
    item = b'{"name": "%d", "costPrice": "1", "sellingPrice": "2"}\n'
    for nth, name in enumerate(("-", "/dev/stdin")):
        text = item % nth + b"{\n"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "graph",
                "import",
                name,
                "--into",
                "items",
                "--format",
                "ndjson",
            ],
            input=text,
            env=os.environ | {"GRAPH_DATABASE_URL": database_url},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert done.stderr == b""
        assert done.stdout.startswith(b"Read 2 rows: added 1, changed 0, unchanged 0, ")
        assert (tmp_path / "stdin.refused.ndjson").read_bytes() == b"{\n"
    assert answer(database_url, "SELECT count(*) FROM items") == 2


def test_an_impossible_import_is_refused_with_the_reason(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("")
    for options, why in (
        (["--into", "customers"], "it must be ndjson or csv; 'rows.txt' implies neither"),
        (["--into", "towns", "--format", "csv"], "it must be one of customers, items, orders"),
        (["--into", "orders", "--format", "csv"], "which CSV cannot represent"),
        (
            ["--into", "items", "--format", "csv", "--bad-rows", str(file)],
            "is the file that is imp",
        ),
        (["--into", "items", "--format", "csv", "--bad-rows", str(tmp_path)], "cannot be written"),
    ):
        done = graph("import", str(file), *options, GRAPH_DATABASE_URL=database_url)
        assert why in complaint(done)


def test_a_csv_with_an_unknown_column_is_refused(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    row = "Lamp,1,2,red\n"
    for rows in ("", row):
        file.write_text(f"name,costPrice,sellingPrice,colour\n{rows}")

        done = graph("import", str(file), "--into", "items", GRAPH_DATABASE_URL=database_url)

        assert complaint(done) == "the head line has the column 'colour', which items do not have"
    assert answer(database_url, "SELECT count(*) FROM items") == 0
    assert answer(database_url, "SELECT count(*) FROM imports") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["items.csv"]
