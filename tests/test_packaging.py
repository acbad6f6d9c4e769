"""The wheel and the sdist: their files, and that the wheel runs by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import httpx
import pytest

from tests.conftest import LiveServer, end_process, eventually
from tests.docs.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
GRAPHIQL = "graph/server/graphiql/"
PAGE = f"{GRAPHIQL}dist/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build("sdist", ROOT, folder)) as archive:
        archive.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and the locked dependencies, and not even pip."""
    environment = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    lock = ROOT / "requirements" / "run.txt"
    pip(environment, "install", "--quiet", "--require-hashes", "--requirement", lock)
    pip(environment, "install", "--quiet", "--no-index", "--no-deps", wheel)
    return environment


@pytest.fixture(scope="module")
def server(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with serving(installed, tmp_path_factory.mktemp("served")) as server:
        yield server


# What is inside


def test_the_wheel_holds_all_code(wheel: Path) -> None:
    code = {path for path in files_below("graph") if path.endswith(".py")}

    assert "graph/store/migrations/versions/0001_store.py" in code
    assert code - set(contents(wheel)) == set()


def test_the_wheel_declares_its_types(wheel: Path) -> None:
    assert "graph/py.typed" in contents(wheel)


def test_the_sdist_holds_the_documentation(sdist: Path) -> None:
    for page in PAGES:
        assert (sdist / page.relative_to(ROOT)).read_bytes() == page.read_bytes()


def test_the_wheel_holds_graphiql_as_bundled_and_not_its_sources(wheel: Path) -> None:
    bundled = {path for path in files_below("graph") if path.startswith(PAGE)}

    assert f"{PAGE}index.html" in bundled
    assert {path for path in contents(wheel) if path.startswith(GRAPHIQL)} == bundled


def test_the_wheel_holds_nothing_outside_of_the_package(wheel: Path) -> None:
    assert {re.sub(r"-.*|/.*", "", path) for path in contents(wheel)} == {"graph"}
    assert not [path for path in contents(wheel) if "__pycache__" in path]


def test_the_sdist_makes_the_same_wheel_again(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    assert contents(build("wheel", sdist, tmp_path)) == contents(wheel)


def test_the_sdist_holds_the_sources_of_graphiql(sdist: Path) -> None:
    assert (sdist / GRAPHIQL / "package-lock.json").is_file()
    assert not (sdist / GRAPHIQL / "node_modules").exists()


# How it runs


def test_the_lock_satisfies_the_wheel(installed: Path) -> None:
    pip(installed, "check")


def test_a_fresh_install_makes_its_store_and_is_ready(server: LiveServer) -> None:
    assert httpx.get(f"{server.url}/health/ready").status_code == httpx.codes.OK


def test_a_fresh_install_answers_from_the_demo_store(server: LiveServer) -> None:
    query = "{ customers { totalCount } }"
    answer = httpx.post(f"{server.url}/graphql", json={"query": query}).json()

    assert answer == {"data": {"customers": {"totalCount": 1000}}}


def test_a_fresh_install_serves_graphiql_with_its_assets(server: LiveServer) -> None:
    page = httpx.get(f"{server.url}/graphql", headers={"Accept": "text/html"})
    assets = re.findall(r'(?:src|href)="(/graphiql/[^"]+)"', page.text)

    assert page.headers["content-type"].startswith("text/html")
    assert {path.rpartition(".")[2] for path in assets} >= {"js", "css"}
    for path in assets:
        assert httpx.get(f"{server.url}{path}").status_code == httpx.codes.OK, path


def test_a_fresh_install_serves_the_schema_of_the_repository(server: LiveServer) -> None:
    served = httpx.get(f"{server.url}/schema.graphql").content

    assert served == (ROOT / "schema.graphql").read_bytes()


def test_sigterm_ends_it_and_its_postgresql(installed: Path, tmp_path: Path) -> None:
    with serving(installed, tmp_path) as server:
        running = processes_in(tmp_path / "store")
        server.process.send_signal(signal.SIGTERM)
        code = server.process.wait(30)

    assert code == 0, (tmp_path / "log").read_text()
    assert running or not Path("/proc").exists()
    eventually(lambda: processes_in(tmp_path / "store") == [], seconds=5)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end, and return what it said; a failure shows that."""
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def build(target: str, source: Path, folder: Path) -> Path:
    """Build with the locked backend that is here: no isolation, no network."""
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder, cwd=source)
    built: Path = next(path for path in folder.iterdir() if path.suffix in {".whl", ".gz"})
    return built


def pip(environment: Path, *arguments: str | Path) -> None:
    """Run our pip on another environment: it knows the registry of this machine."""
    run(sys.executable, "-m", "pip", "--python", environment / "bin" / "python", *arguments)


def contents(wheel: Path) -> dict[str, int]:
    """The files of a wheel, with checksums."""
    with ZipFile(wheel) as archive:
        return {file.filename: file.CRC for file in archive.infolist()}


def files_below(folder: str) -> set[str]:
    paths = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT).as_posix()
        for path in paths
        if not {"node_modules", "__pycache__"} & set(path.parts)
    }


@contextmanager
def serving(environment: Path, folder: Path) -> Iterator[LiveServer]:
    """The installed `graph serve` with a PostgreSQL of its own, far from the repository."""
    elsewhere, log = folder / "elsewhere", folder / "log"
    elsewhere.mkdir()
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GRAPH_", "PYTHON"))
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [environment / "bin" / "graph", "serve", "--port", "0"],
            cwd=elsewhere,
            env=inherited | {"GRAPH_DATA_DIR": str(folder / "store")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: process.poll() is not None or bool(address_in(log)), seconds=120)
        assert process.poll() is None, log.read_text()
        # Whoever connects waits until it serves.
        httpx.get(address_in(log), timeout=60)
        yield LiveServer(address_in(log), process, log)
    finally:
        end_process(process, 60)


def address_in(log: Path) -> str:
    """Where `graph serve` said that it is, or nothing yet."""
    found = re.search(r"graph is at (http://[^/]+)/graphql ", log.read_text())
    return found[1] if found else ""


def processes_in(folder: Path) -> list[str]:
    """The names of the processes that work in a folder: PostgreSQL's, in its cluster (Linux)."""
    names = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                names.append((process / "comm").read_text().strip())
        except OSError:  # it has ended, or is somebody else's
            continue
    return names
