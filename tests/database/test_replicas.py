"""Reads from replicas: what a client has changed is read by it, wherever it reads."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from graph.app import create_app
from graph.database.connect import connected, state_of
from graph.database.consistency import ONLY_PRIMARY, ConsistencyToken, latest
from graph.database.engine import Database
from graph.database.replica_lag import STANDBY
from graph.database.replicas import Fallback
from graph.database.server import Server
from graph.errors import DatabaseUnsuitable, Interrupted, InvalidConsistencyToken
from graph.execution.running.request import Request
from graph.relay import to_global_id
from graph.store.access import ROLES
from graph.viewer import SYSTEM, Viewer
from tests.conftest import client_of, eventually, free_port, serving, settings_for
from tests.database.embedded import a_folder
from tests.database.reading import (
    TOKEN,
    delayed,
    paused,
    reading,
    replicas_of,
    sent,
    stale_reads,
)
from tests.database.standby import dsn_of, fetched, replicated, until
from tests.docs.pages import ROOT, blocks
from tests.node import environment
from tests.pooler import pooler
from tests.rows import fill
from tests.server.live import raw_socket
from tests.server.test_metrics import scraped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.conftest import Client
    from tests.database.standby import Group

ROUNDS = 10
API = ROOT / "docs" / "api.md"
READ = "{ customers { totalCount nodes { username orders { nodes { total } } } } }"
CHANGE = """mutation { createItem(input: {name: "Lamp", costPrice: "5.00", sellingPrice: "9.50"}) {
    __typename ... on ItemSaved { item { name } } } }"""
NEWEST = "{ items(last: 1) { nodes { name } } }"
REFUSED = CHANGE.replace("Lamp", "")
FALLBACKS = "graph_replica_fallbacks_total"
EVENTS = "{ events(last: 1) { nodes { __typename } } }"

READ_OWN_WRITES = """
import { consistentFetch } from "./consistent-fetch.mjs";
const [url, id, kind] = process.argv.slice(2);
const ask = async (query, variables) => {
  const body = JSON.stringify({ query, variables });
  const headers = { "content-type": "application/json" };
  const call = kind === "plain" ? fetch : consistentFetch;
  return (await call(`${url}/graphql`, { method: "POST", headers, body })).json();
};
const change = `mutation ($input: UpdateItemInput!) { updateItem(input: $input) { __typename } }`;
const read = `query ($id: ID!) { item(by: {id: $id}) { name } }`;
const seen = [];
for (const nth of [0, 1, 2]) {
  await ask(change, { input: { id, name: `Name ${nth}`, expectedVersion: { any: true } } });
  seen.push((await ask(read, { id })).data.item.name);
}
console.log(JSON.stringify(seen));
"""


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    with a_folder() as folder, replicated(folder, standbys=2) as group:
        asyncio.run(write_rows(group))
        yield group


async def write_rows(group: Group) -> None:
    database = Database.connect(settings_for(group.primary.url()))
    await fill(database, customers=2, orders=1, lines=1)
    await database.close()
    await group.caught_up()


@pytest.fixture
async def client(group: Group) -> AsyncIterator[Client]:
    await group.caught_up()
    async with reading(group) as client:
        yield client


async def happened(condition: Callable[[], bool]) -> None:
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


# What a client has changed


async def test_what_was_changed_is_read_with_its_token(client: Client, group: Group) -> None:
    assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
    assert replicas_of(client).answered + replicas_of(client).fallbacks[Fallback.BEHIND] > 0
    async with delayed(group.standbys, 200):
        assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
    assert replicas_of(client).fallbacks[Fallback.BEHIND] > 0


async def test_without_a_token_it_is_what_the_replica_has(client: Client, group: Group) -> None:
    async with paused(group.standbys):
        stale = await stale_reads(client, rounds=ROUNDS, with_token=False)
        assert stale == ROUNDS * 4
        assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
    assert replicas_of(client).answered == stale
    assert replicas_of(client).fallbacks == {Fallback.BEHIND: ROUNDS * 4}


async def test_a_token_holds_through_a_pooler(group: Group) -> None:
    with group.untouched(0), pooler(group.standbys[0].url(), mode="transaction") as front:
        async with reading(group, replica_urls=front.url) as client, paused(group.standbys):
            assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
            assert replicas_of(client).fallbacks == {Fallback.BEHIND: ROUNDS * 4}
            assert await stale_reads(client, rounds=1, with_token=False) == 4


@pytest.mark.parametrize("change", [CHANGE, REFUSED])
async def test_mutations_have_a_token_and_queries_have_none(client: Client, change: str) -> None:
    token = ConsistencyToken.parse((await sent(client, change)).headers[TOKEN])
    assert token.timeline == 1
    assert token.position > 0
    assert TOKEN not in (await sent(client, READ)).headers


async def test_without_replicas_there_are_no_tokens_but_they_are_checked(group: Group) -> None:
    async with client_of(create_app(settings_for(group.primary.url()))) as client:
        assert TOKEN not in (await sent(client, CHANGE)).headers
        assert "data" in (await sent(client, READ, "1-0/1")).json()
        assert code_of(await sent(client, READ, "nonsense")) == "INVALID_CONSISTENCY_TOKEN"


def code_of(response: Any) -> str:
    assert response.status_code in {200, 400}
    (error,) = response.json()["errors"]
    code: str = error["extensions"]["code"]
    return code


MALFORMED = [
    "x",
    "1",
    "1-",
    "-1/2",
    "1-0/",
    "1-0/123456789",
    "1_0/1",
    "1-80000000/0",
    "1-0/1 ",
    "1-0/1, 1-0/2",
    "\u0661-0/1",
]


@pytest.mark.parametrize("token", [each for each in MALFORMED if each.isascii()])
async def test_a_malformed_token_is_refused(client: Client, token: str) -> None:
    if token.strip() == token:
        assert code_of(await sent(client, READ, token)) == "INVALID_CONSISTENCY_TOKEN"
    body = {"query": READ, "extensions": {"consistencyToken": token}}
    response = await client.http.post("/graphql", json=body)
    assert code_of(response) == "INVALID_CONSISTENCY_TOKEN"
    assert not any(replicas_of(client).fallbacks.values())


@pytest.mark.parametrize("text", [*MALFORMED, None, 1, {}])
def test_a_token_is_a_timeline_and_a_position(text: Any) -> None:
    with pytest.raises(InvalidConsistencyToken):
        ConsistencyToken.parse(text)
    for token in ("1-0/0", "4294967295-7FFFFFFF/FFFFFFFF", "12-1A/16B3748"):
        assert str(ConsistencyToken.parse(token)) == token


def test_of_several_tokens_the_latest_stands_for_all() -> None:
    first, second, later = (ConsistencyToken(*each) for each in ((1, 9), (1, 10), (2, 1)))
    assert latest([]) is latest([None]) is None
    assert latest([first, None, second]) == second
    assert latest([later, second]) == later
    assert latest([later, ONLY_PRIMARY]) == ONLY_PRIMARY


async def test_a_batch_has_the_latest_token(group: Group) -> None:
    async with reading(group, max_batch=3) as client:
        body = [{"query": each} for each in (CHANGE, READ, CHANGE)]
        response = await client.http.post("/graphql", json=body)
        token = response.headers[TOKEN]
        async with paused(group.standbys):
            newer = (await sent(client, CHANGE)).headers[TOKEN]
            assert ConsistencyToken.parse(token) < ConsistencyToken.parse(newer)
            response = await client.http.post("/graphql", json=body[1:2], headers={TOKEN: newer})
            assert "data" in response.json()[0]
            assert replicas_of(client).fallbacks[Fallback.BEHIND] == 1


async def test_a_get_request_has_its_token_in_the_header(client: Client, group: Group) -> None:
    async with paused(group.standbys):
        token = (await sent(client, CHANGE)).headers[TOKEN]
        headers = {TOKEN: token, "content-type": "application/json"}
        response = await client.http.get("/graphql", params={"query": READ}, headers=headers)
        assert "data" in response.json()
    assert replicas_of(client).fallbacks[Fallback.BEHIND] == 1
    assert TOKEN in response.headers["vary"].lower()


async def test_another_timeline_is_read_from_the_primary(client: Client) -> None:
    for token in ("2-0/1", str(ONLY_PRIMARY)):
        assert "data" in (await sent(client, READ, token)).json()
    assert replicas_of(client).fallbacks == {Fallback.TIMELINE: 2}
    assert "data" in (await sent(client, READ, "1-0/1")).json()


# What replicas answer


@pytest.mark.parametrize("role", ROLES)
async def test_every_role_has_the_same_rows_on_a_replica(
    client: Client, group: Group, role: str
) -> None:
    viewer = Viewer("somebody", role, ROLES[role], own=1)
    async with client_of(create_app(settings_for(group.primary.url()))) as direct:
        for query in (READ, "{ orders { nodes { total customer { username email } } } }"):
            expected = await direct.execution.answer(Request(query, {}), viewer)
            found = await client.execution.answer(Request(query, {}), viewer)
            assert found.body == expected.body
            assert (replicas_of(client).answered > 0) is (b"errors" not in found.body)
            replicas_of(client).answered = 0


async def test_replicas_take_turns(group: Group) -> None:
    # A look at their lag would take a connection, too.
    async with reading(group, max_replica_lag_seconds=0) as client:
        for _ in range(10):
            await client(READ)
        served = [each.engine.pool.checkedin() for each in replicas_of(client).all]  # type: ignore[attr-defined]
        assert served == [1, 1]
        assert replicas_of(client).answered == 10


async def test_resolvers_and_the_log_are_read_on_the_primary(group: Group) -> None:
    async with paused(group.standbys):
        async with reading(group) as client:
            await sent(client, CHANGE)
            await client(EVENTS)
            assert replicas_of(client).answered == 0
        async with reading(group, execution="resolvers") as client:
            assert await client(READ)
            assert replicas_of(client).answered == 0


async def test_what_is_streamed_has_the_token_of_what_it_shows(
    client: Client, group: Group
) -> None:
    item = f'item(by: {{id: "{to_global_id("Item", 1)}"}}) {{ name }}'
    request = Request(f"subscription {{ live {{ {item} }} }}", {}, takes_stream=True)
    stream = (await client.execution.answer(request, SYSTEM)).stream
    assert stream is not None
    try:
        async with paused(group.standbys):
            seen = json.loads((await stream.next()).payload)  # type: ignore[union-attr]
            await stale_reads(client, rounds=1, with_token=True, items=1)
            told = json.loads((await stream.next()).payload)  # type: ignore[union-attr]
            assert told["data"] != seen["data"]
            token = told["extensions"]["consistencyToken"]
            read = (await sent(client, f"{{ {item} }}", token)).json()
            assert read["data"] == told["data"]["live"]
    finally:
        await stream.close()


async def test_over_the_wire(group: Group) -> None:
    await group.caught_up()
    replicas, port = ",".join(each.url() for each in group.standbys), free_port()
    with serving(
        "--workers",
        "2",
        GRAPH_DATABASE_URL=group.primary.url(),
        GRAPH_REPLICA_URLS=replicas,
        GRAPH_METRICS_PORT=str(port),
    ) as server:
        async with (
            paused(group.standbys),
            raw_socket(int(server.url.rsplit(":", 1)[1])) as socket,
        ):
            socket.subscribe("1", "subscription { events { node { kind } } }")
            socket.subscribe("2", CHANGE)
            messages = [await socket.receive() for _ in range(3)]
            payloads = [each["payload"] for each in messages if each["type"] == "next"]
            for payload in payloads:
                token = payload["extensions"]["consistencyToken"]
                request = {"query": READ, "extensions": {"consistencyToken": token}}
                socket.send(id="3", type="subscribe", payload=request)
                read = await socket.receive()
                assert "data" in read["payload"]
                assert (await socket.receive())["type"] == "complete"
            assert {name for each in payloads for name in each["data"]} == {"events", "createItem"}
        # One worker answers already while the other one still starts.
        for each in (port, port + 1):
            await asyncio.to_thread(eventually, partial(listens, each), seconds=60)
        workers = [scraped(port), scraped(port + 1)]
    samples = [sample for worker in workers for sample in worker.items()]
    assert sum(number for (name, _), number in samples if name == FALLBACKS) == 2
    names = {label for (_, labels), _ in samples for key, label in labels if key == "replica"}
    assert len(names) == 2


@pytest.mark.parametrize("kind", ["plain", "consistent"])
async def test_the_documented_fetch_passes_the_token_on(
    group: Group, tmp_path: Path, kind: str
) -> None:
    (text,) = [each.text for each in blocks(API) if each.note == "consistent-fetch.mjs"]
    (tmp_path / "consistent-fetch.mjs").write_text(text, "utf-8")
    (tmp_path / "read.mjs").write_text(READ_OWN_WRITES, "utf-8")
    replicas = ",".join(each.url() for each in group.standbys)
    with serving(GRAPH_DATABASE_URL=group.primary.url(), GRAPH_REPLICA_URLS=replicas) as server:
        async with paused(group.standbys):
            arguments = [server.url, to_global_id("Item", 1), kind]
            process = await asyncio.create_subprocess_exec(
                "node",
                "read.mjs",
                *arguments,
                cwd=tmp_path,
                env=environment(),
                stdout=asyncio.subprocess.PIPE,
            )
            printed, _ = await process.communicate()
    reads_own_writes = json.loads(printed) == [f"Name {nth}" for nth in range(3)]
    assert reads_own_writes is (kind == "consistent")


# What replicas cannot answer


async def test_a_statement_goes_to_the_primary_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def interrupted(server: Server, *_: Any) -> Any:
        asked.append(type(server).__name__)
        raise Interrupted

    monkeypatch.setattr(Server, "fetch_json", interrupted)
    response = await sent(client, READ)

    assert response.status_code == 503
    # The retry of a read that was interrupted on the primary is the last one.
    assert asked == ["Replica", "Database", "Database"]


async def test_a_read_that_recovery_ends_goes_to_the_primary(client: Client, group: Group) -> None:
    expected = await client(READ)
    async with locked(group, "orders") as orders:
        waiting = "SELECT pid FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted"
        reading = [asyncio.create_task(sent(client, READ)) for _ in range(2)]
        for standby in group.standbys:
            await found(standby, waiting)
        async with locked(group, "customers") as customers:
            await happened(lambda: replicas_of(client).fallbacks[Fallback.CONFLICT] == 2)
            await customers.close()
        await orders.close()
        assert [(await each).json()["data"] for each in reading] == [expected] * 2


@asynccontextmanager
async def locked(group: Group, table: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn_of(group.primary))
    try:
        await connection.execute(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        # A commit sends the lock on its way, which would wait for one.
        await fetched(group.primary, "SELECT pg_logical_emit_message(true, 'test', 'lock')")
        yield connection
    finally:
        await connection.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def found(cluster: Any, statement: str) -> list[Any]:
    for _ in range(3_000):
        if rows := await fetched(cluster, statement):
            return rows
        await asyncio.sleep(0.01)
    raise TimeoutError


async def test_before_the_migration_has_arrived_the_primary_answers(
    client: Client, group: Group
) -> None:
    await fetched(group.primary, "ALTER DOMAIN replayed RENAME TO renamed")
    try:
        await group.caught_up()
        await client(READ)
        assert replicas_of(client).fallbacks == {Fallback.SCHEMA: 1}
    finally:
        await fetched(group.primary, "ALTER DOMAIN renamed RENAME TO replayed")
    await group.caught_up()
    await client(READ)
    assert replicas_of(client).answered == 1


async def test_reads_go_on_while_replicas_are_away(client: Client, group: Group) -> None:
    expected = await client(READ)
    for standby in group.standbys:
        group.stop(standby)
    try:
        for _ in range(10):
            assert await client(READ) == expected
        assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
        reasons = replicas_of(client).fallbacks
        assert reasons[Fallback.UNREACHABLE] == 2
        assert reasons[Fallback.RESTING] > 0
    finally:
        for standby in group.standbys:
            group.start(standby)
    await happened(lambda: not any(each.is_resting for each in replicas_of(client).all))
    before = replicas_of(client).answered
    await client(READ)
    assert replicas_of(client).answered == before + 1


async def test_reads_go_on_while_the_primary_is_away(client: Client, group: Group) -> None:
    token = (await sent(client, CHANGE)).headers[TOKEN]
    await group.caught_up()
    expected = await client(READ)
    group.stop(group.primary)
    try:
        assert await client(READ) == expected
        assert (await sent(client, READ, token)).json()["data"] == expected
        assert (await sent(client, READ, "1-7FFFFFFF/FFFFFFFF")).status_code == 503
        assert (await sent(client, CHANGE)).status_code == 503
        ready = await client.http.get("/health/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "read-only"})
    finally:
        group.start(group.primary)
    assert (await sent(client, CHANGE)).status_code == 200
    assert (await client.http.get("/health/ready")).json() == {"status": "ok"}


# A bound of lag


async def test_a_replica_that_lags_too_much_is_not_read(
    group: Group, capsys: pytest.CaptureFixture[str]
) -> None:
    await group.caught_up()
    async with reading(group, max_replica_lag_seconds=0.2, log_level="warning") as client:
        replicas = replicas_of(client)
        async with paused(group.standbys[:1]):
            changed = await sent(client, CHANGE)
            await until(group.standbys[1], replayed(changed.headers[TOKEN]))
            await happened(lambda: [each.is_fit for each in replicas.all] == [False, True])
            assert replicas.all[0].lag_seconds > 0.2
            begins = f"the replica {replicas.all[0].address} is not read: it is "
            assert begins in capsys.readouterr().err
            before = replicas.answered
            for token in (None, "1-0/1") * 5:
                assert last_name(await sent(client, NEWEST, token)) == "Lamp"
            assert replicas.answered == before + 10
            assert not any(replicas.fallbacks.values())
            await replicas.watch.measure()
            assert begins not in capsys.readouterr().err  # it is one line, when it begins
        await happened(lambda: all(each.is_fit for each in replicas.all))


async def test_where_all_lag_too_much_the_primary_answers(group: Group) -> None:
    await group.caught_up()
    async with reading(group, max_replica_lag_seconds=0.2) as client:
        replicas = replicas_of(client)
        async with paused(group.standbys):
            assert await stale_reads(client, rounds=1, with_token=True) == 0
            await happened(lambda: not any(each.is_fit for each in replicas.all))
            assert not client.database.can_read_elsewhere
            before = replicas.answered
            assert await stale_reads(client, rounds=ROUNDS, with_token=False) == 0
            assert replicas.answered == before
            assert replicas.fallbacks[Fallback.LAGGING] == ROUNDS * 4
        await happened(lambda: all(each.is_fit for each in replicas.all))
        await client(READ)
        assert replicas.answered == before + 1


async def test_a_replica_that_comes_back_is_measured_before_it_is_read(group: Group) -> None:
    first = group.standbys[0]
    await group.caught_up()
    async with reading(group, replica_urls=first.url(), max_replica_lag_seconds=0.2) as client:
        (replica,) = replicas_of(client).all
        async with paused([first]):
            await sent(client, CHANGE)
            await happened(lambda: not replica.is_fit)
            replica.rest(Fallback.UNREACHABLE)
            replica.is_lagging = False  # as if it had been out of reach since before that
            await happened(lambda: not replica.is_resting)
            assert replica.is_lagging


async def test_an_idle_primary_makes_no_lag_and_neither_does_one_that_is_away(
    group: Group,
) -> None:
    await group.caught_up()
    async with reading(group, max_replica_lag_seconds=0.2) as client:
        replicas = replicas_of(client)
        for _ in range(3):
            await replicas.watch.measure()
        await happened(lambda: [each.lag_seconds for each in replicas.all] == [0, 0])
        group.stop(group.primary)
        try:
            await replicas.watch.measure()
            await asyncio.sleep(0.5)
            await replicas.watch.measure()
            assert [each.is_fit for each in replicas.all] == [True, True]
            await client(READ)
        finally:
            group.start(group.primary)


async def test_a_defect_does_not_end_the_rest_of_a_replica(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replica = replicas_of(client).all[0]
    first, failed = replica.first, list[str]()

    async def fail_twice(sql: str) -> Any:
        if len(failed) < 2:
            failed.append(sql)
            raise RuntimeError("a defect")
        return await first(sql)

    monkeypatch.setattr(replica, "first", fail_twice)
    replica.rest(Fallback.UNREACHABLE)
    await happened(lambda: not replica.is_resting)
    assert len(failed) == 2
    assert [record.message for record in caplog.records if record.exc_info] == [
        f"the state of the replica {replica.address} cannot be read"
    ]


def replayed(token: str) -> str:
    """The condition that a replica has replayed what a token stands for."""
    return f"SELECT pg_last_wal_replay_lsn() >= '{token.split('-')[1]}'"


def last_name(response: Any) -> str:
    (item,) = response.json()["data"]["items"]["nodes"]
    name: str = item["name"]
    return name


# What doctor says


async def test_doctor_tells_of_each_replica(client: Client, group: Group) -> None:
    first, second = (each.address for each in replicas_of(client).all)
    for _ in range(200):  # a background process of the primary may just have logged
        if f"the replica {first} has replayed all" in (lines := await doctor(client)):
            break
        await asyncio.sleep(0.05)
    assert f"the replica {first} has replayed all" in lines
    async with paused(group.standbys[:1]):
        await sent(client, CHANGE)
        assert any(
            line.startswith(f"the replica {first} is ") and "bytes of the log behind" in line
            for line in await doctor(client)
        )
        replicas_of(client).most_lag_seconds = 1e-6
        assert any(
            line.startswith(f"Danger: the replica {first} is ")
            and line.endswith(
                "it is not read while it lags more than 1e-06 s (GRAPH_MAX_REPLICA_LAG_SECONDS)"
            )
            for line in await doctor(client)
        )
    group.stop(group.standbys[1])
    try:
        assert f"Danger: the replica {second} cannot be reached" in "\n".join(await doctor(client))
    finally:
        group.start(group.standbys[1])


async def test_doctor_measures_the_lag_of_a_replica_whose_last_transaction_is_old(
    client: Client, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replicas_of(client).all[0]
    first, looked = replica.first, asyncio.Event()

    async def first_of_an_idle_store(sql: str) -> Any:
        row = await first(sql)
        if sql is STANDBY:
            looked.set()
            return dict(row) | {"age_seconds": 86_400.0}
        return row

    monkeypatch.setattr(replica, "first", first_of_an_idle_store)
    monkeypatch.setattr("graph.database.replica_state._LONGEST_MEASURE_SECONDS", 50.0)
    await group.caught_up()
    async with paused(group.standbys[:1]):
        await sent(client, CHANGE)
        report = asyncio.create_task(doctor(client))
        async with asyncio.timeout(50):
            await looked.wait()

    lines = await report
    assert any(f"the replica {replica.address} " in line for line in lines)
    assert not [line for line in lines if line.startswith("Danger: the replica")]


async def doctor(client: Client) -> tuple[str, ...]:
    state = await state_of(client.database, settings_for("postgresql://unused"))
    assert state.can_be_served
    return state.lines


async def test_commits_that_are_not_flushed_are_refused(group: Group) -> None:
    role = "ALTER ROLE CURRENT_USER IN DATABASE graph"
    url = group.primary.url()
    settings = settings_for(url, replica_urls=group.standby.url())
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute(f"{role} SET synchronous_commit = off")
        with pytest.raises(DatabaseUnsuitable, match="synchronous_commit is off"):
            async with connected(settings):
                pass
        async with connected(settings_for(url)):
            pass
    finally:
        await connection.execute(f"{role} RESET synchronous_commit")
        await connection.close()
    async with connected(settings):
        pass


# The last ones: a replica is promoted.


async def test_a_promoted_replica_is_not_read(client: Client, group: Group) -> None:
    await group.promote(group.standbys[1])
    for with_token in (True, False):
        stale = await stale_reads(client, rounds=ROUNDS, with_token=with_token)
        assert not (with_token and stale)
    replicas = replicas_of(client)
    assert [each.is_resting for each in replicas.all] == [False, True]
    assert replicas.fallbacks[Fallback.PROMOTED] >= 1
    assert f"Danger: the replica {replicas.all[1].address} is no standby" in "\n".join(
        await doctor(client)
    )
    await asyncio.sleep(1.2)  # it is looked at again, and is still none
    assert replicas.all[1].is_resting


async def test_a_replica_of_the_old_primary_is_not_read_with_a_token(group: Group) -> None:
    old, new = group.standbys
    assert await fetched(new, "SELECT pg_is_in_recovery()") == [(False,)]
    # Its position is beyond all of the new timeline.
    await fetched(group.primary, "SELECT pg_switch_wal()")
    await fetched(group.primary, "SELECT pg_logical_emit_message(true, 'test', 'ahead')")
    ((ahead,),) = await fetched(group.primary, "SELECT pg_current_wal_flush_lsn()::text")
    await until(old, f"SELECT pg_last_wal_replay_lsn() >= '{ahead}'")
    async with reading(group, new.url(), replica_urls=old.url()) as client:
        assert await stale_reads(client, rounds=ROUNDS, with_token=True) == 0
        assert replicas_of(client).fallbacks == {Fallback.TIMELINE: ROUNDS * 4}
        assert (await sent(client, CHANGE)).headers[TOKEN].startswith("2-")
