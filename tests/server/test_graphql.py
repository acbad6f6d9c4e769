"""GraphQL over HTTP: a valid request is answered, any other gets a clear error, never a 500.

Most requests go to an application on a database without tables. A specific error code there shows
that the request was refused before any statement, which would have been an internal error.
"""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import strawberry

from graph.app import create_app
from graph.execution.documents.document import Documents
from graph.schema.schema import Schema
from graph.store.schema import schema
from tests.conftest import client_of, settings_for
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from graph.database.embedded import Cluster
    from tests.conftest import Client

NO_STORE = "postgresql://nobody@127.0.0.1:1/none"
JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"

MANY_DIGITS = "9" * 6000


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to an application on a database without a table."""
    async with client_of(create_app(settings_for(cluster.url("postgres")))) as client:
        yield client.http


async def posted(http: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await http.post(
        "/graphql", content=body, headers={"content-type": JSON, "accept": JSON} | headers
    )


def sole_error(response: httpx.Response) -> dict[str, Any]:
    answer = response.json()
    assert list(answer) == ["errors"], answer
    (error,) = answer["errors"]
    assert list(error)[-1] == "extensions"
    return dict(error)


def code_of(response: httpx.Response) -> str:
    return str(sole_error(response)["extensions"]["code"])


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"true",
        b"1",
        b'"x"',
        b"[]",
        b"{",
        b"{}",
        b"NaN",
        b"query=%7B__typename%7D",
        b'{"query":"{__typename}"} {}',
        b"\xff\xfe",
        b'{"query":"\xff"}',
        b'\xef\xbb\xbf{"query":"{__typename}"}',
        '{"query":"{__typename}"}'.encode("utf-16"),
        b'{"query":"{__typename} \\ud800"}',
        b'{"query":NaN}',
        b'{"query":"{__typename}","variables":{"x":NaN}}',
        b'{"query":"{__typename}","variables":{"x":Infinity}}',
        f'{{"query":{MANY_DIGITS}}}'.encode(),
        f'{{"query":"{{__typename}}","variables":{{"x":{MANY_DIGITS}}}}}'.encode(),
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"query":' * 100_000,
        b'{"query":"{__typename}","variables":' + b'{"x":' * 5000 + b"1" + b"}" * 5001,
    ],
    ids=lambda body: repr(body[:40]),
)
@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
async def test_a_body_that_holds_no_request_is_a_bad_request(
    http: httpx.AsyncClient, body: bytes, accept: str
) -> None:
    response = await posted(http, body, accept=accept)

    assert response.status_code == 400
    assert response.headers["content-type"] == f"{JSON}; charset=utf-8"
    assert code_of(response) == "BAD_REQUEST"
    assert len(response.content) < 500


@pytest.mark.parametrize(
    ("member", "value", "required"),
    [
        ("query", None, "'query' must be a string that holds a GraphQL document."),
        ("query", "", "'query' must be a string that holds a GraphQL document."),
        ("query", "\n ", "'query' must be a string that holds a GraphQL document."),
        ("query", 1, "'query' must be a string that holds a GraphQL document."),
        ("query", ["{__typename}"], "'query' must be a string that holds a GraphQL document."),
        ("variables", [], "'variables' must be an object."),
        ("variables", "{}", "'variables' must be an object."),
        ("variables", 0, "'variables' must be an object."),
        ("variables", False, "'variables' must be an object."),
        ("operationName", 1, "'operationName' must be a string."),
        ("operationName", [], "'operationName' must be a string."),
        ("extensions", [], "'extensions' must be an object."),
        ("extensions", "x", "'extensions' must be an object."),
    ],
)
async def test_a_member_of_the_wrong_type_is_named(
    http: httpx.AsyncClient, member: str, value: Any, required: str
) -> None:
    response = await http.post("/graphql", json={"query": "{__typename}", member: value})

    assert response.status_code == 400
    assert sole_error(response)["message"] == required
    assert code_of(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"variables": None, "operationName": None, "extensions": None},
        {"variables": {}, "operationName": "", "extensions": {}},
        {"variables": {"unused": [1, {"a": None}]}, "extensions": {"a": 1}, "unknown": 1},
    ],
)
async def test_only_the_query_is_required(http: httpx.AsyncClient, members: dict[str, Any]) -> None:
    response = await http.post("/graphql", json={"query": "{__typename}", **members})

    assert response.status_code == 200
    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "APPLICATION/JSON",
        "application/json; odata=verbose",
    ],
)
async def test_a_body_is_json_in_utf_8(http: httpx.AsyncClient, content_type: str) -> None:
    body = '{"query":"{ __typename #\N{SNOWMAN}\\n}"}'.encode()

    response = await posted(http, body, **{"content-type": content_type})

    assert response.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        "application/json+x",
        "x" * 10_000,
    ],
)
async def test_another_content_type_is_unsupported(
    http: httpx.AsyncClient, content_type: str
) -> None:
    response = await posted(http, b'{"query":"{__typename}"}', **{"content-type": content_type})

    assert response.status_code == 415
    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"
    assert "must be application/json in UTF-8" in sole_error(response)["message"]
    assert len(response.content) < 500


async def test_two_content_types_are_unsupported(http: httpx.AsyncClient) -> None:
    headers = [("content-type", JSON), ("content-type", "text/plain")]

    response = await http.post("/graphql", content=b'{"query":"{__typename}"}', headers=headers)

    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", "x"])
async def test_a_compressed_body_is_unsupported(http: httpx.AsyncClient, encoding: str) -> None:
    headers = {"content-type": JSON, "content-encoding": encoding}
    body = gzip.compress(b'{"query":"{__typename}"}')

    response = await posted(http, body, **headers)

    assert response.status_code == 415
    assert code_of(response) == "UNSUPPORTED_MEDIA_TYPE"
    assert f"'{encoding}'" in response.json()["errors"][0]["message"]
    assert response.headers["accept-encoding"] == "identity"


async def test_the_encoding_identity_is_none(http: httpx.AsyncClient) -> None:
    headers = {"content-type": JSON, "content-encoding": "identity"}

    response = await posted(http, b'{"query":"{__typename}"}', **headers)

    assert response.json() == {"data": {"__typename": "Query"}}


async def test_a_missing_content_type_is_unsupported(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", content=b'{"query":"{__typename}"}')

    assert response.status_code == 415
    assert sole_error(response)["message"].endswith("got no Content-Type.")


# Operations


TWO = "query A { a: __typename } query B { b: __typename }"


async def test_one_of_several_operations_runs_by_its_name(http: httpx.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": TWO, "operationName": "B"})

    assert response.json() == {"data": {"b": "Query"}}


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        (TWO, None, "'operationName' is required: the document has more than one operation."),
        (TWO, "", "'operationName' is required: the document has more than one operation."),
        (TWO, "C", "There is no operation named 'C'."),
        ("{__typename}", "A", "There is no operation named 'A'."),
        (TWO, "x" * 100_000, "There is no operation named 'x"),
    ],
)
async def test_an_ambiguous_operation_does_not_run(
    http: httpx.AsyncClient, query: str, name: str | None, message: str
) -> None:
    response = await http.post("/graphql", json={"query": query, "operationName": name})

    assert sole_error(response)["message"].startswith(message)
    assert code_of(response) == "OPERATION_RESOLUTION_FAILURE"
    assert len(response.content) < 1000


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subscription_needs_a_client_that_accepts_a_stream(
    http: httpx.AsyncClient, method: str
) -> None:
    request_: dict[str, Any] = {"query": "subscription { events { cursor } }"}
    request_ = {"params": request_} if method == "GET" else {"json": request_}

    response = await http.request(method, "/graphql", **request_)

    assert "text/event-stream" in sole_error(response)["message"]
    assert code_of(response) == "NOT_ACCEPTABLE"


async def test_a_mutation_does_not_run_by_get(cluster: Cluster) -> None:
    @strawberry.type
    class Query:
        @strawberry.field  # type: ignore[untyped-decorator,unused-ignore]
        def said(self) -> str:
            return "yes"

    @strawberry.type
    class Mutation:
        @strawberry.mutation  # type: ignore[untyped-decorator,unused-ignore]
        def say(self) -> str:
            raise AssertionError

    settings = settings_for(cluster.url("postgres"))
    mutable = Schema(query=Query, mutation=Mutation)
    named = "query Read { said } mutation Write { say }"

    async with client_of(create_app(settings, schema=mutable)) as client:
        alone = await client.http.get("/graphql", params={"query": "mutation { say }"})
        among = await client.http.get("/graphql", params={"query": named, "operationName": "Write"})
        beside = await client.http.get("/graphql", params={"query": named, "operationName": "Read"})

    for response in (alone, among):
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, POST"
        assert code_of(response) == "METHOD_NOT_ALLOWED"
    assert beside.json() == {"data": {"said": "yes"}}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_other_methods_are_not_allowed(http: httpx.AsyncClient, method: str) -> None:
    response = await http.request(method, "/graphql", params={"query": "{__typename}"})

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"
    if method != "HEAD":
        assert code_of(response) == "METHOD_NOT_ALLOWED"


# GET


async def test_a_query_with_variables_comes_by_get(client: Client) -> None:
    await fill(client.database, customers=3)

    response = await client.http.get(
        "/graphql",
        params={
            "query": "query A { __typename } "
            "query B($by: CustomerLookup!) { customer(by: $by) { username } }",
            "operationName": "B",
            "variables": '{"by": {"email": "USER2@example.com"}}',
            "extensions": "{}",
        },
    )

    assert response.status_code == 200
    assert response.json() == {"data": {"customer": {"username": "user2"}}}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("", "'query' must be a string"),
        ("query=", "'query' must be a string"),
        ("query=%20", "'query' must be a string"),
        ("QUERY={__typename}", "'query' must be a string"),
        ("query={__typename}&variables={", "The parameter 'variables' is not valid JSON"),
        ("query={__typename}&variables=%FF", "The parameter 'variables' is not valid JSON"),
        ("query={__typename}&variables={%22x%22:%22%5Cud800%22}", "'variables' is not valid JSON"),
        ("query={__typename}&variables=[]", "'variables' must be an object."),
        ("query={__typename}&variables=%22x%22", "'variables' must be an object."),
        (
            "query={__typename}&variables=" + "[" * 20_000,
            "The parameter 'variables' is not valid JSON",
        ),
        ("query={__typename}&extensions=1", "'extensions' must be an object."),
    ],
)
async def test_parameters_that_hold_no_request_are_a_bad_request(
    http: httpx.AsyncClient, parameters: str, message: str
) -> None:
    response = await http.get(f"/graphql?{parameters}", headers={"accept": JSON})

    assert response.status_code == 400
    assert message in sole_error(response)["message"]
    assert code_of(response) == "BAD_REQUEST"


@pytest.mark.parametrize(
    "parameters",
    [
        "query={__typename}",
        "query=%7B__typename%7D&variables=&operationName=&extensions=",
        "query={__typename}&variables=null&extensions=null",
        "query={__typename}&variables={}&unknown=1",
    ],
)
async def test_by_get_too_only_the_query_is_required(
    http: httpx.AsyncClient, parameters: str
) -> None:
    response = await http.get(f"/graphql?{parameters}")

    assert response.json() == {"data": {"__typename": "Query"}}


async def test_bytes_that_are_no_text_are_a_syntax_error(http: httpx.AsyncClient) -> None:
    response = await http.get("/graphql?query=%ED%A0%80%FF%00", headers={"accept": JSON})

    assert code_of(response) == "GRAPHQL_PARSE_FAILED"


# Media types and status


REQUEST_ERRORS = {
    "GRAPHQL_PARSE_FAILED": {"query": "{"},
    "GRAPHQL_VALIDATION_FAILED": {"query": "{ nothing }"},
    "BAD_USER_INPUT": {
        "query": "query ($id: ID!) { node(id: $id) { id } }",
        "variables": {"id": None},
    },
    "OPERATION_RESOLUTION_FAILURE": {"query": TWO},
    "INVALID_PAGE": {"query": "{ customers(first: 101) { totalCount } }"},
}


@pytest.mark.parametrize("code", list(REQUEST_ERRORS))
async def test_a_request_error_is_a_400_only_for_clients_that_trust_the_status(
    http: httpx.AsyncClient, code: str
) -> None:
    body = orjson.dumps(REQUEST_ERRORS[code])

    new, old = [await posted(http, body, accept=accept) for accept in (GRAPHQL_RESPONSE, JSON)]

    assert (new.status_code, old.status_code) == (400, 200)
    assert new.headers["content-type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"
    assert old.headers["content-type"] == f"{JSON}; charset=utf-8"
    assert code_of(new) == code_of(old) == code


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_has_the_accepted_media_type(
    http: httpx.AsyncClient, accept: str, method: str
) -> None:
    request_: dict[str, Any] = {"query": "{__typename}"}
    request_ = {"params": request_} if method == "GET" else {"json": request_}

    response = await http.request(method, "/graphql", headers={"accept": accept}, **request_)

    assert response.status_code == 200
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert response.content == b'{"data":{"__typename":"Query"}}'


async def test_several_accept_headers_are_one(http: httpx.AsyncClient) -> None:
    headers = [("accept", "text/plain"), ("accept", GRAPHQL_RESPONSE), ("content-type", JSON)]

    response = await http.post("/graphql", content=b'{"query":"{__typename}"}', headers=headers)

    assert response.headers["content-type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/json;q=0"])
async def test_a_media_type_that_answers_do_not_come_in_is_not_acceptable(
    http: httpx.AsyncClient, accept: str
) -> None:
    response = await posted(http, b'{"query":"{__typename}"}', accept=accept)

    assert response.status_code == 406
    assert code_of(response) == "NOT_ACCEPTABLE"
    assert GRAPHQL_RESPONSE in sole_error(response)["message"]


@pytest.mark.parametrize("accept", [JSON, GRAPHQL_RESPONSE])
async def test_a_store_that_cannot_be_reached_is_a_503(accept: str) -> None:
    async with client_of(create_app(settings_for(NO_STORE))) as client:
        response = await posted(client.http, b'{"query":"{customers{totalCount}}"}', accept=accept)

    assert response.status_code == 503
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"
    assert sole_error(response) == {
        "message": "The database cannot be reached. Try again later.",
        "extensions": {"code": "SERVICE_UNAVAILABLE"},
    }


# Hostile documents


def fragments(count: int, spread: str) -> str:
    """So many fragments, each of which spreads the next one."""
    chain = "".join(
        f"fragment F{nth} on Query {{ {spread.format(f'...F{nth + 1}')} }} " for nth in range(count)
    )
    return f"{{ ...F0 }} {chain} fragment F{count} on Query {{ __typename }}"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{a" * 500 + "}" * 500, "GRAPHQL_PARSE_FAILED"),
        ("{a" * 500, "GRAPHQL_PARSE_FAILED"),
        ("{customer(by:" + "[" * 10_000, "GRAPHQL_PARSE_FAILED"),
        ("{customer(by:" + "{a:" * 10_000, "GRAPHQL_PARSE_FAILED"),
        ("query($a:" + "[" * 10_000, "GRAPHQL_PARSE_FAILED"),
        ("{" + "...{" * 10_000, "GRAPHQL_PARSE_FAILED"),
        ("{" + " a" * 10_000 + "}", "OPERATION_TOO_LARGE"),
        ("{__typename" + " @skip(if:false)" * 1000 + "}", "OPERATION_TOO_LARGE"),
        ("#\n" * 300_000 + "{__typename}", "OPERATION_TOO_LARGE"),
        ('{customer(by:{username:"' + "x" * 900_000, "OPERATION_TOO_LARGE"),
        ("{" + "a" * 900_000 + "}", "OPERATION_TOO_LARGE"),
        ("query " + "Q" * 400_000 + "{" + " a(b:$c)" * 500 + "}", "OPERATION_TOO_LARGE"),
        ("{" + "".join(f" x{nth}" for nth in range(2000)) + "}", "OPERATION_TOO_LARGE"),
        ("{" + " customers{totalCount}" * 1200 + "}", "OPERATION_TOO_LARGE"),
        ("{customer(by:{databaseId:" + "9" * 10_000 + "}){id}}", "GRAPHQL_VALIDATION_FAILED"),
        ("{customer(by:{databaseId:1e" + "9" * 99 + "}){id}}", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{__schema" + "{types{fields{type" * 6 + "{name}" + "}}}" * 6 + "}",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("fragment F on Query { ...F } { ...F }", "GRAPHQL_VALIDATION_FAILED"),
        (fragments(500, "{}"), "OPERATION_TOO_LARGE"),
        ("{" + " a" * 990 + "}", "OPERATION_TOO_LARGE"),
        ("{customers{" + " id" * 900 + "}}", "GRAPHQL_VALIDATION_FAILED"),
        ("{__typename}\N{NULL}", "GRAPHQL_PARSE_FAILED"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}{__typename}", "GRAPHQL_PARSE_FAILED"),
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_a_hostile_document_is_refused_soon_and_in_few_words(
    http: httpx.AsyncClient, document: str, code: str
) -> None:
    began = time.perf_counter()

    response = await http.post("/graphql", json={"query": document})

    assert time.perf_counter() - began < 10
    assert response.status_code == 200
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {code}
    assert len(response.content) < 100_000
    assert "data" not in response.json()


@pytest.mark.parametrize(
    "document",
    [
        fragments(5, "{0} {0}"),
        fragments(99, "{}"),
        "{" + " a: __typename" * 50 + "}",
        "{" + " __typename" * 50 + "}",
        "{ __typename }" + " " * 99_000,
        "\N{ZERO WIDTH NO-BREAK SPACE}{__typename}",
    ],
    ids=lambda document: repr(document[:40]),
)
async def test_a_long_document_that_asks_for_little_is_answered(
    http: httpx.AsyncClient, document: str
) -> None:
    response = await http.post("/graphql", json={"query": document})

    assert set(response.json()["data"].values()) == {"Query"}


async def test_python_is_not_mentioned(http: httpx.AsyncClient) -> None:
    digits = "9" * 10_000
    number = f"{{customer(by:{{databaseId:{digits}}}){{id}}}}"

    for document in (number, fragments(90, "{}") + "{" * 300):
        response = await http.post("/graphql", json={"query": document})
        assert "sys." not in response.text
        assert "aborted" not in response.text


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        2**31,
        -(2**31) - 1,
        10**300,
        1.5,
        "1",
        {"a": 1},
        ["x"] * 5_000,
        "x" * 90_000,
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_variable_that_is_not_an_int_is_refused_briefly(
    http: httpx.AsyncClient, value: Any
) -> None:
    query = "query ($number: Int!) { customers(first: $number) { totalCount } }"

    response = await http.post("/graphql", json={"query": query, "variables": {"number": value}})

    error = sole_error(response)
    assert error["message"].startswith("Variable '$number' has invalid value")
    assert error["locations"] == [{"line": 1, "column": 8}]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert len(response.content) < 1000


async def test_a_document_is_read_once_unless_it_is_so_long_that_many_would_fill_memory() -> None:
    documents = Documents(schema._schema)  # noqa: SLF001  as Execution does
    short = "{ __typename }"
    long = f'{{ customer(by: {{username: "{"x" * 99_000}"}}) {{ id }} }}'

    assert documents.read(short) is documents.read(short)
    assert documents.read(long) is not documents.read(long)
