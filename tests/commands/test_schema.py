"""`graph schema` writes the schema and compares it; `graph documents` compares manifests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests import forks
from tests.command_line import complaint, graph, output_of

SCHEMA_FILE = Path(__file__).parents[2] / "schema.graphql"


def test_the_schema_is_written_and_compared_without_any_server(tmp_path: Path) -> None:
    def schema(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"GRAPH_DATABASE_URL": "postgresql://127.0.0.1:1/none"}
        return forks.run(["schema", *arguments], environment, tmp_path)

    written = schema()
    same = schema("--check")
    text = (tmp_path / "schema.graphql").read_text("utf-8")
    (tmp_path / "schema.graphql").write_text(text.replace("town: String!", "town: String"))
    drifted = schema("--check")

    assert complaint(drifted) == (
        "schema.graphql differs from the schema of the code. Run: graph schema"
    )
    assert output_of(written) == "Wrote schema.graphql.\n"
    assert output_of(same) == "schema.graphql is up to date.\n"
    assert text == SCHEMA_FILE.read_text("utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["schema.graphql"]


def test_the_schema_is_compared_with_an_older_one(tmp_path: Path) -> None:
    text = SCHEMA_FILE.read_text("utf-8")
    old = tmp_path / "old.graphql"

    def diff(text: str, *more: str) -> subprocess.CompletedProcess[str]:
        old.write_text(text)
        return graph("schema", "--diff", str(old), *more)

    same = diff(text)
    town = '  """The town of the address."""\n  town: String!\n'
    added = diff(text.replace(town, ""))
    broken = diff(text.replace(town, f"{town}  lost: Int\n"))
    invalid = diff("type Query {")
    missing = graph("schema", "--diff", str(tmp_path / "none.graphql"))
    both = diff(text, "--check")

    assert output_of(same) == "Breaking: 0\nDangerous: 0\nSafe: 0\n"
    assert output_of(added).endswith("Safe: 1\n  Field Customer.town was added.\n")
    assert (broken.returncode, broken.stderr) == (1, "")
    assert broken.stdout.startswith("Breaking: 1\n  Field Customer.lost was removed.\nDanger")
    for wrong in (invalid, missing):
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert "--diff is invalid: it does not go with --check" in complaint(both)


def test_an_older_schema_may_come_through_a_pipe() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graph", "schema", "--diff", "-"],
        input="type Query { lost: Int }",
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("Breaking: 1\n  Field Query.lost was removed.\n")


def test_a_manifest_is_checked_against_the_schema(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text('{"a": "{ customers { totalCount } }"}')
    bad.write_text('{"a": "{ customers { totalCount } }", "b": "{ custmers }", "c": "{"}')

    fine, wrong, missing = (
        graph("documents", "check", str(path)) for path in (good, bad, tmp_path / "none.json")
    )

    assert output_of(fine) == f"{good}: 1 document is valid.\n"
    assert wrong.returncode == 1
    first, second = wrong.stderr.splitlines()
    assert first.startswith("bad: b: Cannot query field 'custmers' on type 'Query'.")
    assert second.startswith("bad: c: Syntax Error")
    assert complaint(missing).startswith("MANIFEST is invalid: ")
    assert complaint(missing).endswith("none.json cannot be read: No such file or directory.")


def test_a_change_of_the_schema_is_told_to_each_client_and_release(tmp_path: Path) -> None:
    old, new, usage = (tmp_path / name for name in ("old.graphql", "new.graphql", "usage.json"))
    old.write_text("type Query { a: Int! b: Int c: Size } enum Size { S }")
    new.write_text("type Query { a: Int c: Size d: Int } enum Size { S L }")
    shop = {
        "operations": [{"id": "1", "body": "query One { a }"}],
        "client": "shop",
        "release": "2",
    }
    (tmp_path / "any.json").write_text(json.dumps(shop))
    (tmp_path / "till@7.json").write_text('{"x": "{ b }", "y": "query Sizes { c }"}')
    (tmp_path / "app.json").write_text('{"z": "{ d }", "w": "{ __typename }"}')
    uses = {"client": "shop", "version": "2", "uses": 1204, "lastUsed": "2026-11-20T09:00:00+00:00"}
    usage.write_text(json.dumps({"operations": [{"name": "query One", "clients": [uses]}]}))
    manifests = [str(tmp_path / name) for name in ("any.json", "till@7.json", "app.json")]

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return graph("documents", "check", *manifests, *options)

    told = run("--against", str(old), "--schema", str(new), "--usage", str(usage))
    back = run("--against", str(new), "--schema", str(new))
    wrong = run("--against", str(usage))
    alone = run("--usage", str(usage))
    malformed = run("--against", str(old), "--usage", str(tmp_path / "app.json"))

    nullable = "Field Query.a changed type from Int! to Int."
    unknown = "Cannot query field 'b' on type 'Query'. Did you mean 'a', 'c', or 'd'?"
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        f"shop 2: query One breaks: {nullable} (used 1,204 times, last 2026-11-20)",
        "shop 2: 1 of 1 documents break.",
        f"till 7: x breaks: {unknown} (1:3) (not used)",
        "till 7: query Sizes is affected: Enum value Size.L was added. (not used)",
        "till 7: 1 of 2 documents break.",
        "app: z was invalid before",
        "app: 0 of 2 documents break.",
    ]
    assert (back.returncode, back.stdout.count(" 0 of ")) == (0, 3)
    assert wrong.returncode == 2
    assert "--usage is invalid: it needs --against" in complaint(alone)
    assert "is not what `graph usage --json` prints" in complaint(malformed)
