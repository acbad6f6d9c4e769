"""What a sign-in changes of HTTP: statuses, headers, caches, buckets and idempotency keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from sqlalchemy import text

from graph.app import create_app
from graph.schema.caching import CacheControl, CacheControlScope
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotation
from graph.schema.schema import Schema
from tests.conftest import client_of, from_address, settings_for
from tests.mutations import mutation
from tests.rows import fill
from tests.server.provider import AUDIENCE, ISSUER, running_provider
from tests.server.test_authentication import ROLES, SECRET, signed
from tests.store.test_transfer import customer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from graph.database.embedded import Cluster
    from graph.settings import Settings
    from tests.conftest import Client

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
QUERY = {"query": "{ __typename }"}
TRUST = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_secret": SECRET}
CHAIR = {"name": "Chair", "costPrice": "9.20", "sellingPrice": "10.80"}


def me(info: Info) -> str:
    viewer = info.context.viewer
    return f"{viewer.subject} {viewer.role} {sorted(viewer.may or ())} {viewer.own}"


HINT = CacheControl(max_age=60, scope=CacheControlScope.PUBLIC)


@strawberry.type
class Query:
    me: str = strawberry.field(resolver=me, directives=[HINT])


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, **TRUST)


@pytest.fixture
async def http(cluster: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    """A schema of one field, which tells who asks."""
    settings = settings_for(cluster.url("postgres"), max_batch=3, **TRUST)
    app = create_app(settings, schema=Schema(query=Query), roles=ROLES)
    async with client_of(app) as client:
        yield client.http


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


CLERK = f"{ISSUER} ann clerk ['orders:write', 'store:read'] None"


# The viewer


async def test_resolvers_see_the_viewer_of_each_request(http: httpx.AsyncClient) -> None:
    ask = {"query": "{ me }"}
    ann = bearer(signed(role="clerk"))
    by_post = await http.post("/graphql", json=ask, headers=ann)
    by_get = await http.get("/graphql", params=ask, headers=ann)
    batch = await http.post("/graphql", json=[ask, ask], headers=ann)
    customer = await http.post("/graphql", json=ask, headers=bearer(signed(customer_id=7)))
    nobody = await http.post("/graphql", json=ask)

    assert by_post.json() == by_get.json() == {"data": {"me": CLERK}}
    assert [answer["data"]["me"] for answer in batch.json()] == [CLERK, CLERK]
    assert customer.json()["data"]["me"] == f"{ISSUER} ann customer ['own'] 7"
    assert nobody.json()["data"]["me"].startswith("None manager")


# Refused


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", JSON),
        (JSON, JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        ("multipart/mixed", JSON),
        ("text/event-stream", JSON),
        (f"{GRAPHQL_RESPONSE}, multipart/mixed", GRAPHQL_RESPONSE),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_invalid_token_is_a_401_under_each_media_type(
    http: httpx.AsyncClient, method: str, accept: str, content_type: str
) -> None:
    headers = bearer(signed(exp=1)) | {"accept": accept}
    sent: dict[str, Any] = {"params": QUERY} if method == "GET" else {"json": QUERY}
    response = await http.request(method, "/graphql", headers=headers, **sent)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert response.headers["content-type"].split(";")[0] == content_type
    assert response.headers["cache-control"] == "no-store"
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "INVALID_TOKEN"}
    assert error["message"] == "The bearer token is not valid: it has expired."


async def test_a_token_is_refused_before_the_body_is_read(client: Client) -> None:
    sent = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"authorization", b"Bearer x")],
    }

    async def receive() -> Any:
        pytest.fail("the body was read")

    async def send(message: Any) -> None:
        sent.append(message)

    await client.app(scope, receive, send)

    assert sent[0]["status"] == 401


async def test_a_token_that_nobody_can_verify_now_is_a_503(cluster: Cluster) -> None:
    with running_provider() as provider:
        token = provider.token()
        provider.status = 500
        trust = TRUST | {"jwt_secret": None, "jwt_jwks_url": provider.url}
        async with client_of(create_app(settings_for(cluster.url("postgres"), **trust))) as client:
            response = await client.http.post("/graphql", json=QUERY, headers=bearer(token))
            without = await client.http.post("/graphql", json=QUERY)

    assert response.status_code == 503
    assert response.json()["errors"][0]["extensions"]["code"] == "SIGN_IN_UNAVAILABLE"
    assert int(response.headers["retry-after"]) > 0
    assert "www-authenticate" not in response.headers
    assert without.status_code == 200


# Caches


async def test_only_answers_to_nobody_may_be_kept_by_shared_caches(http: httpx.AsyncClient) -> None:
    ask = {"query": "{ me }"}
    nobody = await http.get("/graphql", params=ask)
    ann = await http.get("/graphql", params=ask, headers=bearer(signed()))

    assert nobody.headers["cache-control"] == "public, max-age=60"
    assert ann.headers["cache-control"] == "private, max-age=60"
    for response in (nobody, ann):
        assert "Authorization" in response.headers["vary"]
    tags = {"if-none-match": nobody.headers["etag"]}
    assert (await http.get("/graphql", params=ask, headers=tags)).status_code == 304
    assert (await http.get("/graphql", params=ask, headers=tags | bearer(signed()))).is_success


# What belongs to a viewer


async def test_buckets_are_those_of_subjects_and_not_of_addresses(cluster: Cluster) -> None:
    settings = settings_for(
        cluster.url("postgres"), max_cost=10, cost_capacity=10, cost_per_second=1, **TRUST
    )
    spent = {"query": "{ customers(first: 8) { nodes { id } } }"}
    async with client_of(create_app(settings)) as client:
        ann = [await client.http.post("/graphql", json=spent, headers=bearer(signed()))]
        async with from_address(client, "203.0.113.7") as elsewhere:
            ann += [await elsewhere.http.post("/graphql", json=spent, headers=bearer(signed()))]
        bob = await client.http.post("/graphql", json=spent, headers=bearer(signed(sub="bob")))
        nobody = await client.http.post("/graphql", json=spent)

    statuses = [response.status_code for response in (*ann, bob, nobody)]
    assert statuses[1] == 429
    assert 429 not in (statuses[0], *statuses[2:])


@pytest.mark.parametrize("subject", ["ann", "é" * 255])
async def test_the_actor_is_the_subject(client: Client, subject: str) -> None:
    body = {"query": mutation("createItem"), "variables": {"input": CHAIR}}
    token = signed(sub=subject, role="manager")
    done = await client.http.post("/graphql", json=body, headers=bearer(token))

    assert done.json()["data"]["createItem"]["item"]
    async with client.database.engine.connect() as connection:
        actors = (await connection.execute(text("SELECT actor FROM events"))).scalars().all()
    assert actors == [f"{ISSUER} {subject}"]


async def test_keys_belong_to_a_subject_with_its_permissions(client: Client) -> None:
    body = {"query": mutation("createCustomer"), "variables": {"input": customer(1)}}
    long = "s" * 255
    tokens = [
        signed(sub=long, role="manager"),
        signed(sub=long, role="manager", jti="another token"),
        signed(sub=long, role="clerk"),
        signed(sub="bob", role="manager"),
    ]

    answers = [
        (await client.http.post("/graphql", json=body, headers=bearer(token) | KEY)).json()
        for token in tokens
    ]

    assert [answer["data"]["createCustomer"]["__typename"] for answer in answers] == [
        "CustomerSaved",
        "CustomerSaved",
        "ValidationFailed",  # the name is taken: the mutation has run
        "ValidationFailed",
    ]
    assert ["extensions" in answer for answer in answers] == [False, True, False, False]


KEY = {"idempotency-key": "a"}


@pytest.mark.parametrize("own", [None, 0, -1, 2**63 - 1, "9223372036854775807"])
async def test_a_row_that_does_not_exist_is_nobody_s(client: Client, own: Any) -> None:
    await fill(client.database, customers=2)
    ask = {"query": "{ viewer { customer { id } } customers { totalCount } }"}

    response = await client.http.post("/graphql", json=ask, headers=bearer(signed(customer_id=own)))

    assert response.json()["data"] == {"viewer": {"customer": None}, "customers": {"totalCount": 0}}


@pytest.mark.parametrize(
    ("accept", "statuses"), [(JSON, (200, 200)), (GRAPHQL_RESPONSE, (401, 403))]
)
async def test_what_is_not_permitted_is_a_status_for_clients_that_trust_it(
    cluster: Cluster, accept: str, statuses: tuple[int, int]
) -> None:
    settings = settings_for(cluster.url("postgres"), anonymous_role="anonymous", **TRUST)
    body = {"query": "{ items { nodes { costPrice } } }"}
    async with client_of(create_app(settings)) as client:
        nobody, clerk = [
            await client.http.post("/graphql", json=body, headers={"accept": accept} | header)
            for header in ({}, bearer(signed(role="clerk")))
        ]

    codes = [each.json()["errors"][0]["extensions"]["code"] for each in (nobody, clerk)]
    assert codes == ["UNAUTHENTICATED", "FORBIDDEN"]
    assert (nobody.status_code, clerk.status_code) == statuses
    # A challenge belongs to a 401 (RFC 9110, section 15.5.2), and to no other status.
    challenges = [each.headers.get("www-authenticate") for each in (nobody, clerk)]
    assert challenges == ["Bearer" if accept == GRAPHQL_RESPONSE else None, None]
