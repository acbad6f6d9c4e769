"""GraphiQL in a real browser, which may connect only to the server under test."""

from __future__ import annotations

import base64
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.async_api import Page, async_playwright, expect
from starlette.applications import Starlette

from graph.app import create_app
from graph.server.demo import AUDIENCE, OWN_CLAIM
from graph.server.pages import GRAPHIQL_POLICY, graphiql_page, graphiql_routes
from graph.settings import DEVELOPMENT_ISSUER
from tests.browser import CHROMIUM_OPTIONS, Witness, chromium
from tests.conftest import client_of, serving, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from playwright.async_api import ViewportSize

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

NO_STORE = "postgresql://localhost:1/none"
WINDOW: ViewportSize = {"width": 1280, "height": 800}


@asynccontextmanager
async def opened(url: str, profile: Path, window: ViewportSize = WINDOW) -> AsyncIterator[Page]:
    """GraphiQL, all loaded; the test fails if the browser had to complain of anything."""
    witness = Witness(unheard=frozenset())
    # First: where the browser is missing, Playwright's own driver may not start either.
    executable = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, args=CHROMIUM_OPTIONS, viewport=window
        )
        await browser.grant_permissions(["clipboard-read", "clipboard-write"])
        await witness.watch(browser)
        page = browser.pages[0]
        await load(page, url)

        yield page

        complaints = list(witness.complaints)
        await browser.close()
    assert complaints == []


async def load(page: Page, url: str) -> None:
    # The schema comes by introspection, or as a file where no document for that may run.
    async with page.expect_response(
        lambda response: (
            response.request.method == "POST" or response.url.endswith("/schema.graphql")
        )
    ):
        response = await page.goto(url)
    assert response
    assert response.status == httpx.codes.OK, await response.text()
    await expect(page.get_by_label("Re-fetch GraphQL schema")).to_be_enabled()
    await expect(page.locator(".graphiql-query-editor .view-line").first).to_be_visible()
    await expect(page.locator(".result-window .monaco-editor")).to_be_visible()


@pytest.fixture
async def page(
    live_server: LiveServer, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """A parameter is the query string of its link."""
    link = f"?{request.param}" if hasattr(request, "param") else ""
    async with opened(f"{live_server.url}/graphql{link}", tmp_path) as page:
        yield page


async def test_fills_the_window_and_opens_with_a_query(page: Page) -> None:
    await expect(page).to_have_title("graph")
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("sellingPrice")
    assert await page.locator(".graphiql-container").bounding_box() == {"x": 0, "y": 0} | WINDOW


async def test_the_opening_query_shows_its_result(page: Page) -> None:
    await page.get_by_label("Execute query").click()

    result = page.locator(".result-window")
    await expect(result).to_contain_text('"totalCount"')
    await expect(result).to_contain_text('"firstName"')
    await expect(result).not_to_contain_text('"errors"')


async def test_a_query_can_be_typed_and_run(page: Page) -> None:
    await page.locator(".graphiql-query-editor .view-line").first.click()
    await page.keyboard.press("Control+A")
    await page.keyboard.press("Delete")
    await page.keyboard.type("{ customers(first: 1) { nodes { name: firstName } } }")
    await page.keyboard.press("Control+Enter")

    await expect(page.locator(".result-window")).to_contain_text('"name"')


DEFERRED = """query ($first: Int!) {
  customers(first: $first) { nodes { username ... @defer { town } } }
}"""


@pytest.mark.parametrize(
    "page", [urlencode({"query": DEFERRED, "variables": '{"first": 2}'})], indirect=True
)
async def test_a_link_holds_the_query_and_parts_are_merged(page: Page) -> None:
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("@defer")
    result = page.locator(".result-window")
    await expect(result).not_to_contain_text("username")

    async with page.expect_response(
        lambda response: "multipart/mixed" in response.headers["content-type"]
    ):
        await page.get_by_label("Execute query").click()

    await expect(result.get_by_text('"username"')).to_have_count(2)
    await expect(result.get_by_text('"town"')).to_have_count(2)


LIVE = "subscription { live { viewer { role } customer(by: {databaseId: 1}) { town } } }"


@pytest.mark.parametrize("page", [urlencode({"query": LIVE})], indirect=True)
async def test_a_subscription_shows_each_result(page: Page, live_server: LiveServer) -> None:
    result = page.locator(".result-window")
    async with page.expect_websocket() as socket:
        await page.get_by_label("Execute query").click()
    await expect(result).to_contain_text('"town"')

    await move(live_server, "Elsewhere")

    await expect(result).to_contain_text('"Elsewhere"')
    opened_socket = await socket.value
    async with opened_socket.expect_event("close"):
        await page.get_by_label("Stop query").click()
    await move(live_server, "Nowhere")
    await expect(result).not_to_contain_text('"Nowhere"', timeout=1_000)


async def move(server: LiveServer, town: str) -> None:
    change = """mutation ($town: String!) { updateCustomer(
      input: {id: "Q3VzdG9tZXI6MQ==", expectedVersion: {any: true}, town: $town}
    ) { __typename } }"""
    async with httpx.AsyncClient() as http:
        body = {"query": change, "variables": {"town": town}}
        answer = (await http.post(f"{server.url}/graphql", json=body)).json()
    assert answer["data"]["updateCustomer"]["__typename"] == "CustomerSaved", answer


async def test_a_field_is_completed_from_the_schema(page: Page) -> None:
    await page.locator(".view-line", has_text="firstName").click()
    await page.keyboard.press("End")
    await page.keyboard.press("Enter")
    await page.keyboard.type("order")

    suggestions = page.locator(".suggest-widget.visible .monaco-list-row")
    await expect(suggestions.filter(has_text=re.compile("^orders"))).to_be_visible()


async def test_the_documentation_describes_a_type(page: Page) -> None:
    await page.get_by_label("Show Documentation Explorer").click()
    docs = page.locator(".graphiql-doc-explorer")
    await docs.get_by_role("link", name="Customer", exact=True).click()

    await expect(docs.locator(".graphiql-doc-explorer-title")).to_have_text("Customer")
    await expect(docs.locator(".graphiql-markdown-description").first).to_have_text(
        re.compile(r"\w")
    )


# Sign-in


@pytest.fixture(scope="module")
def own_issuer(live_server: LiveServer, cluster: Cluster) -> Iterator[LiveServer]:
    """A server that issues tokens itself, as `graph serve` does on an embedded database."""
    assert live_server.url
    with serving(GRAPH_DATABASE_URL=cluster.url("live_store"), **OWN_ISSUER) as server:
        yield server


OWN_ISSUER = {
    "GRAPH_JWT_ISSUER": DEVELOPMENT_ISSUER,
    "GRAPH_JWT_AUDIENCE": AUDIENCE,
    "GRAPH_JWT_SECRET": "a secret of 32 bytes at the least",
    "GRAPH_JWT_OWN_CLAIM": OWN_CLAIM,
}


@pytest.fixture
async def picker(own_issuer: LiveServer, tmp_path: Path) -> AsyncIterator[Page]:
    async with opened(f"{own_issuer.url}/graphql", tmp_path) as page:
        yield page


async def authorization_of_next_run(page: Page) -> str | None:
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.get_by_label("Execute query").click()
    return (await (await sent.value).all_headers()).get("authorization")


def claims_of(authorization: str | None) -> Any:
    assert authorization
    payload = authorization.removeprefix("Bearer ").split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=="))


async def test_a_role_can_be_picked_and_is_kept_for_the_tab_only(picker: Page) -> None:
    assert await authorization_of_next_run(picker) is None

    await picker.get_by_text("Sign in", exact=True).click()
    await picker.get_by_label("Role").select_option("clerk")
    await picker.get_by_role("button", name="Try it").click()

    await expect(picker.get_by_text("Signed in: clerk")).to_be_visible()
    authorization = await authorization_of_next_run(picker)
    assert claims_of(authorization)["role"] == "clerk"
    await expect(picker.locator(".result-window")).to_contain_text('"totalCount"')
    await load(picker, picker.url)
    assert await authorization_of_next_run(picker) == authorization
    token = str(authorization).removeprefix("Bearer ")
    assert token not in picker.url
    assert token not in await picker.evaluate("JSON.stringify(localStorage) + document.cookie")
    other = await picker.context.new_page()
    await load(other, picker.url)
    assert await authorization_of_next_run(other) is None
    await other.close()

    await picker.get_by_text("Signed in: clerk").click()
    await picker.get_by_role("button", name="Sign out").click()
    assert await authorization_of_next_run(picker) is None


async def test_the_menu_closes_by_escape_and_by_a_click_elsewhere(page: Page) -> None:
    menu = page.get_by_label("Token")
    await page.get_by_text("Sign in", exact=True).click()
    await expect(menu).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(page.locator(".sign-in summary")).to_be_focused()

    await page.get_by_text("Sign in", exact=True).click()
    await menu.click()
    await expect(menu).to_be_focused()
    await page.locator(".graphiql-response").click(position={"x": 20, "y": 400})
    await expect(menu).to_be_hidden()


async def test_a_subscription_has_the_role_that_was_picked(picker: Page) -> None:
    await picker.get_by_text("Sign in", exact=True).click()
    await picker.get_by_label("Role").select_option("clerk")
    await picker.get_by_role("button", name="Try it").click()
    await expect(picker.get_by_text("Signed in: clerk")).to_be_visible()
    await load(picker, f"{picker.url}?{urlencode({'query': LIVE})}")

    await picker.get_by_label("Execute query").click()

    await expect(picker.locator(".result-window")).to_contain_text('"clerk"')


async def test_a_customer_has_an_id(picker: Page) -> None:
    await picker.get_by_text("Sign in", exact=True).click()
    await picker.get_by_label("Role").select_option("customer")
    await picker.get_by_label("databaseId of the customer").fill("7")
    await picker.get_by_role("button", name="Try it").click()

    await expect(picker.get_by_text("Signed in: customer 7")).to_be_visible()
    claims = claims_of(await authorization_of_next_run(picker))
    assert (claims["role"], claims[OWN_CLAIM]) == ("customer", 7)


async def test_a_token_can_be_pasted(page: Page) -> None:
    await page.get_by_text("Sign in", exact=True).click()
    await expect(page.get_by_label("Role")).to_have_count(0)  # this server issues no tokens
    await page.get_by_label("Token").fill("not a token")
    await page.get_by_role("button", name="Use it").click()
    await expect(page.locator(".sign-in [role=alert]")).to_have_text("This is not a token.")

    await page.get_by_label("Token").fill(" a.b.c ")
    await page.get_by_role("button", name="Use it").click()

    await expect(page.get_by_text("Signed in: a pasted token")).to_be_visible()
    assert await page.evaluate("sessionStorage.getItem('graph:token')") == "a.b.c"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"origin": "https://evil.example"}, b'{"role": "clerk"}', 403),
        ({"sec-fetch-site": "cross-site", "origin": "null"}, b'{"role": "clerk"}', 403),
        ({"content-type": "text/plain"}, b'{"role": "clerk"}', 415),
        ({}, b"[]", 400),
        ({}, b"{", 400),
        ({}, b'{"role": "boss"}', 400),
        ({}, b'{"role": ["clerk"]}', 400),
        ({}, b'{"role": "clerk", "own": "1"}', 400),
        ({}, b'{"role": "clerk", "own": true}', 400),
        ({}, b'{"role": "clerk", "own": 0}', 400),
        ({}, b'{"role": "clerk", "own": 9223372036854775808}', 400),
        ({}, b'{"role": "clerk"}' + b" " * 2_000, 413),
        ({}, b'{"role": "clerk", "own": null}', 200),
    ],
)
async def test_tokens_are_for_pages_of_the_server(
    headers: dict[str, str], body: bytes, status: int
) -> None:
    async with http_to(host="127.0.0.1") as http:
        response = await http.post(
            "/graphiql/tokens", content=body, headers={"content-type": "application/json"} | headers
        )

    assert response.status_code == status
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "changed",
    [
        {"host": "0.0.0.0"},  # noqa: S104  nothing is bound
        {"jwt_issuer": "https://login.example/"},
        {"host": "127.0.0.1", "allowed_hosts": ("shop.example", "localhost")},
        {"host": "127.0.0.1", "allowed_hosts": ("*",)},
        {"graphiql": False},
    ],
)
async def test_elsewhere_no_role_is_offered(changed: dict[str, Any]) -> None:
    async with http_to(**changed) as http:
        roles = await http.get("/graphiql/roles")
        token = await http.post("/graphiql/tokens", json={"role": "clerk"})

    assert roles.status_code == 404 or roles.json() == {"roles": []}
    assert token.status_code in {404, 405}


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"]
)
async def test_through_a_proxy_no_role_is_offered(name: str) -> None:
    async with http_to(host="127.0.0.1") as http:
        direct = await http.get("/graphiql/roles")
        # The proxy has written a loopback name into Host.
        roles = await http.get("/graphiql/roles", headers={name: "203.0.113.9"})
        token = await http.post(
            "/graphiql/tokens", json={"role": "clerk"}, headers={name: "203.0.113.9"}
        )

    assert direct.json()["roles"]
    assert roles.json() == {"roles": []}
    assert token.status_code == 400
    assert "token" not in token.json()


@asynccontextmanager
async def http_to(**changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    trust = {name.removeprefix("GRAPH_").lower(): value for name, value in OWN_ISSUER.items()}
    settings = settings_for(NO_STORE, **(trust | changed))
    async with client_of(create_app(settings)) as client:
        yield client.http


async def test_the_page_is_revalidated_and_its_assets_are_cached(
    live_server: LiveServer,
) -> None:
    async with httpx.AsyncClient(base_url=live_server.url) as http:
        page = await http.get("/graphql", headers={"Accept": "text/html"})
        assets = [await http.get(path) for path in re.findall(r'"(/graphiql/[^"]+)"', page.text)]

    assert page.headers["cache-control"] == "no-cache"
    assert {asset.status_code for asset in assets} == {200}
    assert {asset.headers["cache-control"] for asset in assets} == {
        "public, max-age=31536000, immutable"
    }
    for response in [page, *assets]:
        assert response.headers["content-security-policy"] == GRAPHIQL_POLICY
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"


async def test_without_its_bundle_the_page_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("graph.server.pages._DIST", tmp_path)
    app = Starlette(routes=graphiql_routes())

    page = graphiql_page()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        asset = await http.get("/graphiql/assets/index.js")

    assert page.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert b"make setup" in page.body
    assert asset.status_code == httpx.codes.NOT_FOUND
