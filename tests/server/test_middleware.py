"""Request ids, durations, size limits, and pages of other origins."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.app import create_app
from graph.server.headers import DEFAULTS
from graph.server.middleware import ErrorMiddleware, RequestLog
from tests.conftest import client_of, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

NO_STORE = "postgresql://nobody@127.0.0.1:1/none"
LIMIT_BYTES = 2000
SHOP = "https://shop.example"
JSON = {"content-type": "application/json"}
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
}


@asynccontextmanager
async def http_to(url: str = NO_STORE, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(create_app(settings_for(url, **settings))) as client:
        yield client.http


def body_of(size_bytes: int) -> bytes:
    return b'{"query":"{__typename}"}'.ljust(size_bytes)


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 100):
        yield body[start : start + 100]


# Request ids


async def test_each_request_gets_an_id_of_its_own() -> None:
    async with http_to() as http:
        ids = [(await http.get("/health/live")).headers["x-request-id"] for _ in range(10)]

    assert len(set(ids)) == 10
    assert all(re.fullmatch("[0-9a-f]{16}", id_) for id_ in ids)


@pytest.mark.parametrize("id_", ["7", "a-B_c.9", "x" * 64])
async def test_a_well_formed_id_of_the_client_is_used(id_: str) -> None:
    async with http_to() as http:
        response = await http.get("/health/live", headers={"x-request-id": id_})

    assert response.headers["x-request-id"] == id_


@pytest.mark.parametrize("id_", ["", "x" * 65, "a b", "a\tb", "<script>", "\xe9", "1;2", '"1"'])
async def test_an_id_that_might_spoil_a_log_is_replaced(id_: str) -> None:
    headers = {b"x-request-id": id_.encode("latin-1")}
    async with http_to() as http:
        response = await http.get("/health/live", headers=headers)

    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/graphql", 405),
        ("POST", "/graphql", 415),
        ("GET", "/health/ready", 503),
    ],
)
async def test_every_response_has_an_id_and_a_duration(method: str, path: str, status: int) -> None:
    async with http_to() as http:
        response = await http.request(method, path, headers={"x-request-id": "mine"})

    assert response.status_code == status
    assert response.headers["x-request-id"] == "mine"
    assert re.fullmatch(r"total;dur=\d+\.\d", response.headers["server-timing"])


# What a browser is told


def each_once(response: httpx.Response) -> bool:
    names = [name for name, _ in response.headers.raw]
    return len(names) == len(set(names))


DEFAULT = {name.decode(): value.decode() for name, value in DEFAULTS}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/graphql", {"json": {"query": "{__typename}"}}, 200),
        ("POST", "/graphql", {"json": {"query": "{nothing}"}}, 200),
        ("GET", "/graphql?query={nothing}", {}, 200),
        ("POST", "/graphql", {"json": {"query": "{customers{totalCount}}"}}, 503),
        ("POST", "/graphql", {"content": body_of(LIMIT_BYTES + 1), "headers": JSON}, 413),
        ("POST", "/graphql", {"content": b"{}"}, 415),
        ("GET", "/graphql?query={__typename}", {"headers": {"accept": "image/png"}}, 406),
        ("PUT", "/graphql", {}, 405),
        ("OPTIONS", "/graphql", {"headers": {"origin": "https://x.example"} | PREFLIGHT}, 403),
        ("GET", "/nowhere", {}, 404),
        ("POST", "/health/live", {}, 405),
        ("GET", "/health/live", {}, 200),
        ("GET", "/health/ready", {}, 503),
        ("GET", "/schema.graphql", {}, 200),
        ("GET", "/", {}, 307),
        ("GET", "/graphiql/assets/none.js", {}, 404),
    ],
)
async def test_every_response_has_the_security_headers(
    method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    async with http_to(max_body_bytes=LIMIT_BYTES, cors_origins=SHOP) as http:
        response = await http.request(method, path, **sent)

    # The schema may be kept, if it is asked for again each time.
    expected = DEFAULT | ({"cache-control": "no-cache"} if path == "/schema.graphql" else {})
    assert response.status_code == status
    assert expected.items() <= dict(response.headers).items()
    assert each_once(response)


async def test_a_defect_is_answered_with_the_same_headers() -> None:
    app = RequestLog(ErrorMiddleware(broken))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        response = await http.get("/")

    assert response.status_code == 500
    assert DEFAULT.items() <= dict(response.headers).items()


async def test_a_responses_own_headers_replace_the_defaults() -> None:
    own = [(b"content-security-policy", b"sandbox"), (b"cache-control", b"private")]

    async def says(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(own)})
        await send({"type": "http.response.body", "body": b""})

    transport = httpx.ASGITransport(RequestLog(says))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        response = await http.get("/")

    expected = DEFAULT | {name.decode(): value.decode() for name, value in own}
    assert expected.items() <= dict(response.headers).items()
    assert each_once(response)


async def test_a_request_is_one_line_in_the_log_with_its_id_and_duration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with http_to(log_level="info", log_format="text") as http:
        await http.get("/schema.graphql?secret=1", headers={"x-request-id": "mine"})

    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO graph.server.middleware \[mine\]"
        r' method="GET" path="/schema.graphql" status=200 ms=\d+\.\d',
        line,
    )


async def test_a_healthy_check_is_no_line_and_a_failing_one_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with http_to(log_level="info") as http:
        await http.get("/health/live")
        assert capsys.readouterr().err == ""
        await http.get("/health/ready")

    assert [json.loads(line)["status"] for line in capsys.readouterr().err.splitlines()] == [503]


# The limit


@pytest.mark.parametrize("size_bytes", [LIMIT_BYTES, LIMIT_BYTES - 1])
async def test_a_body_up_to_the_limit_is_read(cluster: Cluster, size_bytes: int) -> None:
    async with http_to(cluster.url("postgres"), max_body_bytes=LIMIT_BYTES) as http:
        whole = await http.post("/graphql", content=body_of(size_bytes), headers=JSON)
        chunked = await http.post("/graphql", content=in_chunks(body_of(size_bytes)), headers=JSON)

    assert (whole.status_code, chunked.status_code) == (200, 200)


@pytest.mark.parametrize("size_bytes", [LIMIT_BYTES + 1, 1_000_000])
async def test_a_body_over_the_limit_is_refused_whether_or_not_its_length_was_announced(
    size_bytes: int,
) -> None:
    async with http_to(max_body_bytes=LIMIT_BYTES) as http:
        whole = await http.post("/graphql", content=body_of(size_bytes), headers=JSON)
        chunked = await http.post("/graphql", content=in_chunks(body_of(size_bytes)), headers=JSON)

    assert "content-length" in whole.request.headers
    assert "content-length" not in chunked.request.headers
    for response in (whole, chunked):
        assert response.status_code == 413
        assert response.json() == {
            "errors": [
                {
                    "message": "The request body is larger than 2000 bytes.",
                    "extensions": {"code": "PAYLOAD_TOO_LARGE"},
                }
            ]
        }


async def test_a_content_length_that_is_too_small_is_not_trusted() -> None:
    headers = JSON | {"content-length": "10"}
    async with http_to(max_body_bytes=LIMIT_BYTES) as http:
        response = await http.post(
            "/graphql", content=in_chunks(body_of(LIMIT_BYTES + 1)), headers=headers
        )

    assert response.status_code == 413


@pytest.mark.parametrize(
    ("announced", "read_bytes"), [({}, LIMIT_BYTES + 100), ({"content-length": "2001"}, 0)]
)
async def test_no_more_of_a_body_is_read_than_it_takes_to_refuse_it(
    announced: dict[str, str], read_bytes: int
) -> None:
    chunks = 0

    async def long_body() -> AsyncIterator[bytes]:
        nonlocal chunks
        for _ in range(1000):
            chunks += 1
            yield b" " * 100

    async with http_to(max_body_bytes=LIMIT_BYTES) as http:
        response = await http.post("/graphql", content=long_body(), headers=JSON | announced)

    assert response.status_code == 413
    assert chunks * 100 == read_bytes


async def test_over_the_wire_too_and_the_next_request_is_answered(
    live_server: LiveServer,
) -> None:
    async with httpx.AsyncClient(base_url=live_server.url) as http:
        whole = await http.post("/graphql", content=body_of(1_100_000), headers=JSON)
        chunked = await http.post("/graphql", content=in_chunks(body_of(1_100_000)), headers=JSON)
        after = await http.post("/graphql", content=body_of(100), headers=JSON)

    assert (whole.status_code, chunked.status_code) == (413, 413)
    assert after.json() == {"data": {"__typename": "Query"}}


# Defects


async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise LookupError("SELECT password FROM customers")


async def broken_halfway(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise LookupError("SELECT password FROM customers")


async def test_a_defect_is_masked_and_its_cause_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = RequestLog(ErrorMiddleware(broken))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        response = await http.get("/", headers={"x-request-id": "mine"})

    assert response.status_code == 500
    assert response.headers["x-request-id"] == "mine"
    error_id = response.json()["errors"][0]["extensions"]["errorId"]
    assert response.json() == {
        "errors": [
            {
                "message": "internal error",
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "errorId": error_id},
            }
        ]
    }
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert record.message == f"error {error_id}"
    assert record.exc_text
    assert record.exc_text.endswith("LookupError: SELECT password FROM customers")


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    app = RequestLog(ErrorMiddleware(broken_halfway))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        with pytest.raises(LookupError):
            await http.get("/")


# Pages of other origins


def allowed(response: httpx.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name.startswith("access-control-")
    }


async def test_other_origins_are_refused_by_default() -> None:
    origin = {"origin": SHOP}
    async with http_to() as http:
        preflight = await http.options("/graphql", headers=origin | PREFLIGHT)
        answer = await http.post("/graphql", content=body_of(100), headers=origin | JSON)

    assert preflight.status_code == 405
    assert "GRAPH_CORS_ORIGINS" in preflight.json()["errors"][0]["message"]
    assert allowed(preflight) == allowed(answer) == {}


async def test_a_page_of_an_allowed_origin_may_ask_and_read_the_id(cluster: Cluster) -> None:
    origin, origins = {"origin": SHOP}, f"https://other.example,{SHOP}"
    async with http_to(cluster.url("postgres"), cors_origins=origins) as http:
        preflight = await http.options("/graphql", headers=origin | PREFLIGHT)
        answer = await http.post("/graphql", content=body_of(100), headers=origin | JSON)

    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert "Origin" in preflight.headers["vary"]
    assert preflight.headers["access-control-allow-methods"] == "GET, POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    assert answer.json() == {"data": {"__typename": "Query"}}
    assert allowed(answer) == {
        "access-control-allow-origin": SHOP,
        "access-control-expose-headers": (
            "ETag, Retry-After, Server-Timing, WWW-Authenticate, X-Consistency-Token, X-Request-ID"
        ),
    }
    assert "Origin" in answer.headers["vary"]


async def test_a_page_of_another_origin_is_not_allowed() -> None:
    origin = {"origin": "https://shop.example.evil"}
    async with http_to(cors_origins=SHOP) as http:
        preflight = await http.options("/graphql", headers=origin | PREFLIGHT)
        answer = await http.post("/graphql", content=body_of(100), headers=origin | JSON)

    assert preflight.status_code == 403
    (error,) = preflight.json()["errors"]
    assert error["extensions"]["code"] == "ORIGIN_NOT_ALLOWED"
    assert "GRAPH_CORS_ORIGINS" in error["message"]
    assert allowed(preflight) == allowed(answer) == {}
    assert "Origin" in preflight.headers["vary"]
    assert "Origin" in answer.headers["vary"]


async def test_a_page_of_an_allowed_origin_may_send_a_get(cluster: Cluster) -> None:
    query = {"query": "{ __typename }"}
    browser = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "referer": f"{SHOP}/x"}
    async with http_to(cluster.url("postgres"), cors_origins=SHOP) as http:
        ours = await http.get("/graphql", params=query, headers=browser | {"origin": SHOP})
        theirs = await http.get(
            "/graphql", params=query, headers=browser | {"origin": "https://evil.example"}
        )
        # An image or a form: the browser names no origin, and shows the page nothing.
        silent = await http.get("/graphql", params=query, headers=browser)

    assert ours.json() == {"data": {"__typename": "Query"}}
    assert ours.headers["access-control-allow-origin"] == SHOP
    for refused in (theirs, silent):
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["extensions"]["code"] == "CSRF_PREVENTED"
        assert "GRAPH_CORS_ORIGINS" in refused.json()["errors"][0]["message"]


async def test_a_refused_origin_is_one_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with http_to(cors_origins=SHOP, log_level="warning") as http:
        for origin in (SHOP, "http://localhost", "null", "https://a.example", "https://a.example"):
            headers = {"origin": origin, "host": "localhost"}
            await http.options("/graphql", headers=headers | PREFLIGHT)
            await http.post("/graphql", content=body_of(100), headers=headers | JSON)

    first, second = capsys.readouterr().err.splitlines()
    assert "the origin null may not" in first
    assert "the origin https://a.example may not" in second
    assert "GRAPH_CORS_ORIGINS" in first


async def test_a_browser_knows_best_that_a_page_is_of_this_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    headers = JSON | {"origin": "https://public.example", "host": "internal:8000"}
    async with http_to(log_level="warning", allowed_hosts="*") as http:
        for site in ("same-origin", "cross-site"):
            content = body_of(100)
            await http.post("/graphql", content=content, headers=headers | {"sec-fetch-site": site})

    assert capsys.readouterr().err.count("https://public.example") == 1


async def test_credentials_and_exposed_headers_are_as_configured() -> None:
    origin = {"origin": SHOP}
    options: dict[str, Any] = {"cors_credentials": True, "cors_exposed_headers": "X-Trace, ETag"}
    async with http_to(cors_origins=SHOP, **options) as http:
        preflight = await http.options("/graphql", headers=origin | PREFLIGHT)
        answer = await http.post("/graphql", content=body_of(100), headers=origin | JSON)

    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert allowed(answer) == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "X-Trace, ETag",
    }


async def test_a_star_allows_every_origin_and_never_credentials() -> None:
    origin = {"origin": SHOP, "cookie": "a=1"}
    async with http_to(cors_origins="*") as http:
        answer = await http.post("/graphql", content=body_of(100), headers=origin | JSON)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_may_read_why_it_was_refused() -> None:
    headers = JSON | {"origin": SHOP}
    async with http_to(cors_origins=SHOP, max_body_bytes=LIMIT_BYTES) as http:
        response = await http.post("/graphql", content=body_of(LIMIT_BYTES + 1), headers=headers)

    assert response.status_code == 413
    assert response.headers["access-control-allow-origin"] == SHOP
