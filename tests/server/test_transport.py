"""Cross-site requests, persisted documents, batches, caching and compression."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import brotli
import pytest
import strawberry
import zstandard

from graph.app import create_app
from graph.errors import InvalidSetting
from graph.execution.documents.manifest import read_manifest
from graph.schema.caching import CacheControl, CacheControlScope
from graph.schema.schema import Schema
from graph.settings import Settings
from tests.conftest import client_of, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from graph.database.embedded import Cluster
    from tests.conftest import Client

QUERY = "{ __typename }"
HASH = sha256(QUERY.encode()).hexdigest()
RESPONSE_JSON = {"accept": "application/graphql-response+json"}


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(settings_for(cluster.url("postgres"), max_batch=3))) as client:
        yield client.http


def code_of(answer: Any) -> str:
    (error,) = answer["errors"]
    return str(error["extensions"]["code"])


# Pages of other sites


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-mode": "cors"},  # what Node's fetch sends, and any site's page could not alone
        {"sec-fetch-site": "same-origin", "referer": "http://localhost/", "cookie": "a=b"},
        {"sec-fetch-site": "none", "cookie": "a=b"},
        {"sec-fetch-site": "cross-site", "graphql-require-preflight": "1"},
        {"origin": "https://evil.example", "apollo-require-preflight": "true"},
        {"origin": "https://evil.example", "x-apollo-operation-name": "Q"},
        {"origin": "https://evil.example", "content-type": "application/json; charset=utf-8"},
    ],
)
async def test_a_get_that_no_other_site_can_cause_is_answered(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await http.get("/graphql", params={"query": QUERY}, headers=headers)

    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"referer": "https://evil.example/page"},
        {"cookie": "session=1"},
        {"cookie": "session=1", "content-type": "text/plain"},
        {"cookie": "session=1", "content-type": "text/plain; application/json"},
        {"origin": "null", "content-type": "application/x-www-form-urlencoded"},
    ],
)
async def test_a_get_that_another_site_may_have_caused_is_refused(
    http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await http.get("/graphql", params={"query": QUERY}, headers=headers)

    assert response.status_code == 400
    assert code_of(response.json()) == "CSRF_PREVENTED"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_a_post_that_a_form_can_send_is_never_executed(
    http: httpx.AsyncClient, content_type: str
) -> None:
    response = await http.post(
        "/graphql",
        content=json.dumps({"query": QUERY}),
        headers={"content-type": content_type, "graphql-require-preflight": "1"},
    )

    assert response.status_code == 415


# Documents by name


def persisted(hashed: str = HASH, query: str | None = None, version: int = 1) -> dict[str, Any]:
    extensions = {"persistedQuery": {"version": version, "sha256Hash": hashed}}
    return {"extensions": extensions} | ({"query": query} if query else {})


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_text_is_known_by_its_hash_once_it_was_sent(
    http: httpx.AsyncClient, method: str
) -> None:
    async def ask(body: dict[str, Any]) -> Any:
        if method == "POST":
            return (await http.post("/graphql", json=body)).json()
        params = body | {"extensions": json.dumps(body["extensions"])}
        return (await http.get("/graphql", params=params)).json()

    first = await ask(persisted())
    assert first["errors"][0]["message"] == "PersistedQueryNotFound"
    assert code_of(first) == "PERSISTED_QUERY_NOT_FOUND"
    assert code_of(await ask(persisted("0" * 64, QUERY))) == "PERSISTED_QUERY_HASH_MISMATCH"
    assert code_of(await ask(persisted("0" * 64))) == "PERSISTED_QUERY_NOT_FOUND"

    assert (await ask(persisted(query=QUERY)))["data"] == {"__typename": "Query"}
    assert (await ask(persisted()))["data"] == {"__typename": "Query"}


@pytest.mark.parametrize(
    "body",
    [
        persisted(version=2),
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 1}}},
        {"extensions": {"persistedQuery": "x"}},
        {"documentId": 1},
        {"documentId": ""},
        {"documentId": "x", "query": 1},
    ],
)
async def test_a_malformed_document_name_is_a_bad_request(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    response = await http.post("/graphql", json=body)

    assert response.status_code == 400
    assert code_of(response.json()) == "BAD_REQUEST"


async def test_names_can_be_switched_off(cluster: Cluster) -> None:
    settings = settings_for(cluster.url("postgres"), documents="off")
    async with client_of(create_app(settings)) as client:
        by_name = await client.http.post("/graphql", json=persisted(query=QUERY))
        by_text = await client.http.post("/graphql", json={"query": QUERY})

    assert by_name.json()["errors"][0]["message"] == "PersistedQueryNotSupported"
    assert by_text.json() == {"data": {"__typename": "Query"}}


async def test_with_trusted_documents_only_nothing_else_runs(
    cluster: Cluster, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({f"sha256:{HASH}": QUERY, "named": "{ a: __typename }"}))
    settings = settings_for(
        cluster.url("postgres"), documents="trusted-only", documents_manifest=manifest
    )
    other = "{ b: __typename }"
    async with client_of(create_app(settings)) as client:

        async def ask(body: dict[str, Any]) -> Any:
            return (await client.http.post("/graphql", json=body)).json()

        assert (await ask({"documentId": f"sha256:{HASH}"}))["data"] == {"__typename": "Query"}
        assert (await ask({"documentId": "named"}))["data"] == {"a": "Query"}
        assert (await ask(persisted()))["data"] == {"__typename": "Query"}
        assert (await ask({"query": QUERY}))["data"] == {"__typename": "Query"}
        assert code_of(await ask({"query": other})) == "DOCUMENT_NOT_TRUSTED"
        assert code_of(await ask({"documentId": "x", "query": other})) == "DOCUMENT_NOT_TRUSTED"
        registered = persisted(sha256(other.encode()).hexdigest(), other)
        assert code_of(await ask(registered)) == "DOCUMENT_NOT_TRUSTED"
        assert code_of(await ask({"documentId": "x"})) == "PERSISTED_QUERY_NOT_FOUND"


def test_a_manifest_is_a_folder_a_file_or_apollos_file(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / f"sha256-{HASH}.graphql").write_text(QUERY)
    plain, apollo = tmp_path / "plain.json", tmp_path / "apollo.json"
    plain.write_text(json.dumps({f"sha256:{HASH}": QUERY}))
    operations = [{"id": f"sha256:{HASH}", "name": "Q", "type": "query", "body": QUERY}]
    apollo.write_text(
        json.dumps({"format": "apollo-persisted-query-manifest", "operations": operations})
    )

    for path in (folder, plain, apollo):
        assert read_manifest(path) == {f"sha256:{HASH}": QUERY, HASH: QUERY}


def test_manifests_of_several_clients_are_a_folder_or_several_paths(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps({"a": QUERY}))
    second.write_text(json.dumps({"operations": [{"id": "b", "body": "{ b }"}], "version": 1}))
    (tmp_path / "c.graphql").write_text("{ c }")
    apart = tmp_path / "apart"
    apart.mkdir()
    (apart / "d.graphql").write_text("{ d }")

    texts = read_manifest(tmp_path, apart)

    names = {name: text for name, text in texts.items() if len(name) == 1}
    assert names == {"a": QUERY, "b": "{ b }", "c": "{ c }", "d": "{ d }"}
    assert read_manifest(first, first) == {"a": QUERY, HASH: QUERY}


def test_manifests_must_not_use_one_id_for_different_texts(tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text('{"a": "{ a }"}')
    second.write_text('{"a": "{ b }"}')

    for paths in ([tmp_path], [first, second]):
        with pytest.raises(InvalidSetting, match="two different texts have the id a"):
            read_manifest(*paths)


@pytest.mark.parametrize("name", ["doc_id", "docId", "id", "queryId"])
async def test_an_id_in_the_wrong_place_is_told_the_right_one(
    http: httpx.AsyncClient, name: str
) -> None:
    response = await http.post("/graphql", json={name: "x", "variables": {}})

    assert response.status_code == 400
    assert response.json()["errors"][0]["message"] == (
        f"The id of a document is sent as 'documentId', not as '{name}'."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "contains no document"),
        ("[]", "is not a manifest"),
        ("{", "is not a manifest"),
        ('{"a": 1}', "the text of a must be a string"),
        ('{"operations": [{}]}', "is not a manifest"),
        ('{"sha256:00": "{ a }"}', "is not the hash of its text"),
    ],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(content)

    with pytest.raises(InvalidSetting, match=problem):
        read_manifest(manifest)


def test_trusted_documents_need_a_manifest() -> None:
    with pytest.raises(ValueError, match="needs GRAPH_DOCUMENTS_MANIFEST"):
        Settings.model_validate({"documents": "trusted-only"})


# Batches


async def test_a_batch_is_answered_in_its_order(http: httpx.AsyncClient) -> None:
    batch = [{"query": "{ a: __typename }"}, {"query": "{ b }"}, {"query": "{ c: __typename }"}]

    response = await http.post("/graphql", json=batch)

    first, second, third = response.json()
    assert (first, third) == ({"data": {"a": "Query"}}, {"data": {"c": "Query"}})
    assert code_of(second) == "GRAPHQL_VALIDATION_FAILED"
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        ([{"query": QUERY}] * 4, "BATCH_TOO_LARGE"),
        ([{"query": QUERY}, {}], "BAD_REQUEST"),
        ([[{"query": QUERY}]], "BAD_REQUEST"),
        ([1], "BAD_REQUEST"),
        ([], "BAD_REQUEST"),
    ],
)
async def test_an_empty_or_oversized_batch_is_refused_whole(
    http: httpx.AsyncClient, batch: Any, code: str
) -> None:
    response = await http.post("/graphql", json=batch)

    assert response.status_code == 400
    assert code_of(response.json()) == code


async def test_batches_are_disabled_by_default(cluster: Cluster) -> None:
    async with client_of(create_app(settings_for(cluster.url("postgres")))) as client:
        response = await client.http.post("/graphql", json=[{"query": QUERY}])

    assert response.status_code == 400
    assert "Batches are disabled" in response.json()["errors"][0]["message"]


# Caches


async def test_an_answer_that_is_known_is_not_sent_again(client: Client) -> None:
    await fill(client.database, customers=1)
    params = {"query": "{ items { nodes { name } } }"}

    first = await client.http.get("/graphql", params=params)
    etag = first.headers["etag"]
    again = await client.http.get("/graphql", params=params, headers={"if-none-match": etag})
    listed = await client.http.get(
        "/graphql", params=params, headers={"if-none-match": f'"x", {etag}'}
    )
    other = await client.http.get("/graphql", params=params, headers={"if-none-match": '"x"'})
    typed = await client.http.get(
        "/graphql", params=params, headers={"if-none-match": etag} | RESPONSE_JSON
    )

    assert first.headers["cache-control"] == "private, no-cache"
    assert "Accept" in first.headers["vary"]
    assert [each.status_code for each in (again, listed)] == [304, 304]
    assert again.content == b""
    assert again.headers["etag"] == etag
    assert [each.status_code for each in (other, typed)] == [200, 200]


async def test_failures_are_never_cacheable(http: httpx.AsyncClient) -> None:
    response = await http.get("/graphql", params={"query": "{ nothing }"})

    assert response.headers["cache-control"] == "no-store"
    assert "etag" not in response.headers


async def test_the_strictest_hint_holds(cluster: Cluster) -> None:
    def field(age: int, scope: str) -> Any:
        hint = CacheControl(max_age=age, scope=CacheControlScope(scope))
        return strawberry.field(resolver=lambda: "yes", directives=[hint])

    @strawberry.type
    class Query:
        long: str = field(600, "PUBLIC")
        short: str = field(60, "PUBLIC")
        own: str = field(300, "PRIVATE")
        plain: str = strawberry.field(resolver=lambda: "yes")

    hinted = Schema(query=Query)
    assert "@cacheControl(maxAge: 600, scope: PUBLIC)" in hinted.as_str()
    async with client_of(
        create_app(settings_for(cluster.url("postgres")), schema=hinted)
    ) as client:

        async def policy(query: str) -> str:
            response = await client.http.get("/graphql", params={"query": query})
            assert "errors" not in response.json()
            return str(response.headers["cache-control"])

        assert await policy("{ long }") == "public, max-age=600"
        assert await policy("{ long short }") == "public, max-age=60"
        assert await policy("{ long own }") == "private, max-age=300"
        assert await policy("{ long plain }") == "private, no-cache"


# Compression


@pytest.mark.parametrize(
    ("accepts", "encoding", "decompress"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("gzip, br", "br", brotli.decompress),
        ("gzip, br, zstd", "zstd", lambda data: zstandard.ZstdDecompressor().decompress(data)),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_long_answer_is_compressed_as_the_client_likes(
    client: Client, accepts: str, encoding: str, decompress: Any, method: str
) -> None:
    await fill(client.database, customers=60, orders=0)
    request_: dict[str, Any] = {"query": "{ customers(first: 60) { nodes { id email } } }"}
    request_ = {"params": request_} if method == "GET" else {"json": request_}

    plain = await client.http.request(
        method, "/graphql", **request_, headers={"accept-encoding": "identity"}
    )
    async with client.http.stream(
        method, "/graphql", **request_, headers={"accept-encoding": accepts}
    ) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])

    assert response.headers["content-encoding"] == encoding
    assert response.headers["content-length"] == str(len(raw))
    assert "Accept-Encoding" in response.headers["vary"]
    assert decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 4


async def test_a_short_answer_is_sent_as_it_is(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": QUERY})

    assert "content-encoding" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"
