"""The panels that graph adds to GraphiQL, and what the page does by itself."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.async_api import expect

from tests.conftest import serving
from tests.server.test_graphiql import load, move, opened, page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Locator, Page, Request, ViewportSize

    from graph.database.embedded import Cluster
    from tests.conftest import LiveServer

__all__ = ["page"]

PHONE: ViewportSize = {"width": 360, "height": 740}
CHANGE = """mutation Move { updateCustomer(input: {
  id: "Q3VzdG9tZXI6MQ==", expectedVersion: {any: true}, town: "Wolfden"
}) { ... on CustomerSaved { customer { town } } } }"""


FILTER = '{ customers(where: {town: {eq: "Wolfden"}}) { totalCount } }'


def body_of(request: Request) -> dict[str, Any]:
    return json.loads(request.post_data or "{}")  # type: ignore[no-any-return]


def result_of(page: Page) -> Locator:
    return page.locator(".result-window")


async def show(page: Page, panel: str) -> Locator:
    """Open a panel, and return it."""
    await page.get_by_label(f"Show {panel}", exact=True).click()
    return page.locator(".graphiql-plugin")


# Explain


async def test_a_run_is_explained_while_the_panel_is_open(page: Page) -> None:
    panel = await show(page, "Explain")
    await panel.get_by_role("button", name="Run", exact=True).click()

    await expect(panel.locator(".facts")).to_contain_text("200")
    facts = await panel.locator(".facts > div").all_text_contents()
    assert [re.sub(r"[\d.,]+", "N", fact) for fact in facts] == [
        "StatusN", "ServerN ms", "AnswerN kB", "ChargedN",
    ]  # fmt: skip
    stages = panel.locator(".stages")
    for stage in ("parse", "wait for a connection", "statements", "encode"):
        await expect(stages.get_by_text(stage, exact=True)).to_be_visible()
    await expect(panel.locator(".cost")).to_contain_text("lineItems")
    await expect(panel.get_by_role("group", name="Plan")).to_contain_text("cost")
    await expect(panel.get_by_label("SQL")).to_contain_text("FROM customers")
    await expect(panel).to_contain_text("Parameters: $1 int4")
    # The result is the answer alone.
    await expect(result_of(page)).to_contain_text('"totalCount"')
    await expect(result_of(page)).not_to_contain_text("extensions")

    await panel.locator(".sql").get_by_role("button", name="Copy").click()
    await expect(panel.locator(".sql button")).to_have_text("Copied")
    assert "FROM customers" in await page.evaluate("navigator.clipboard.readText()")


async def test_analyze_shows_actual_times_and_rows(page: Page) -> None:
    panel = await show(page, "Explain")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await panel.get_by_role("button", name="Analyze").click()

    assert body_of(await sent.value)["extensions"] == {"explain": {"analyze": True}}
    plan = panel.get_by_role("group", name="Plan")
    await expect(plan).to_contain_text("execution")
    await expect(plan).to_contain_text("(about")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await panel.get_by_role("button", name="Run", exact=True).click()
    assert body_of(await sent.value)["extensions"] == {"explain": True}


async def test_a_closed_panel_explains_nothing(page: Page) -> None:
    await show(page, "Explain")
    await page.get_by_label("Hide Explain").click()

    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await page.get_by_label("Execute query").click()

    assert "extensions" not in body_of(await sent.value)


@pytest.mark.parametrize("page", [urlencode({"query": CHANGE})], indirect=True)
async def test_a_mutation_has_statements_and_no_plan(page: Page) -> None:
    panel = await show(page, "Explain")
    await panel.get_by_role("button", name="Run", exact=True).click()

    await expect(panel).to_contain_text("A mutation has no plan.")
    await expect(panel.get_by_label("SQL").first).to_contain_text("UPDATE customers")
    await expect(panel.get_by_role("button", name="Analyze")).to_be_disabled()
    await expect(result_of(page)).to_contain_text('"Wolfden"')


@pytest.mark.parametrize("page", [urlencode({"query": FILTER})], indirect=True)
async def test_warnings_are_shown_and_marked_in_the_plan(page: Page) -> None:
    async def with_warning(route: Any) -> None:
        response = await route.fetch()
        answer = await response.json()
        if "explain" in answer.get("extensions", {}):
            answer["extensions"]["explain"]["warnings"] = [
                {
                    "code": "SEQUENTIAL_SCAN",
                    "message": "All of about 1,000,000 rows of 'customers' are looked at.",
                    "statement": 0,
                    "table": "customers",
                }
            ]
        await route.fulfill(response=response, json=answer)

    panel = await show(page, "Explain")
    await page.route("**/graphql", with_warning)
    await panel.get_by_role("button", name="Run", exact=True).click()

    await expect(panel.get_by_label("Warnings")).to_contain_text("1,000,000 rows")
    await expect(panel.locator(".warned")).to_contain_text("Seq Scan on customers")
    mark = panel.get_by_role("img", name="Sequential scan of a large table")
    await expect(mark).to_be_visible()


async def test_a_viewer_to_whom_nothing_is_explained_gets_the_answer(
    live_server: LiveServer, cluster: Cluster, tmp_path: Path
) -> None:
    assert live_server.url
    with serving(
        GRAPH_DATABASE_URL=cluster.url("live_store"),
        GRAPH_EXPLAIN="false",
        GRAPH_ANONYMOUS_ROLE="clerk",
    ) as server:
        async with opened(f"{server.url}/graphql", tmp_path) as page:
            panel = await show(page, "Explain")
            await panel.get_by_role("button", name="Run", exact=True).click()

            await expect(panel.get_by_role("alert")).to_contain_text("operations:explain")
            await expect(result_of(page)).to_contain_text('"totalCount"')


# Building and examples


async def test_a_field_is_added_by_a_click(page: Page) -> None:
    panel = await show(page, "GraphiQL Explorer")
    editor = page.locator(".graphiql-query-editor")
    await expect(editor).not_to_contain_text("databaseId")

    await panel.locator(".graphiql-explorer-databaseId .graphiql-explorer-field-view").first.click()

    await expect(editor).to_contain_text("databaseId")


EXAMPLES = {
    "Filter": ("query Filter", '"lastName"'),
    "Groups": ("query Groups", '"subtotal"'),
    "Mutation": ("mutation PlaceOrder", '"shortages"'),
    "Live query": ("subscription Live", '"sellingPrice"'),
}


async def test_each_example_is_opened_by_a_click_and_runs(page: Page) -> None:
    panel = await show(page, "Examples")
    names = await panel.locator("li strong").all_text_contents()
    assert set(names) == {*EXAMPLES, "Subscription"}

    for name, (operation, found) in EXAMPLES.items():
        await panel.get_by_role("button", name=name).click()
        await expect(page.locator(".graphiql-query-editor")).to_contain_text(operation)
        await page.get_by_label("Execute query").click()
        await expect(result_of(page)).to_contain_text(found)
        await expect(result_of(page)).not_to_contain_text('"errors"')
    await page.get_by_label("Stop query").click()

    tabs = page.locator(".graphiql-tab")
    count = await tabs.count()
    await panel.get_by_role("button", name="Groups").click()
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("query Groups")
    assert await tabs.count() == count


OPEN_AND_RUN = """example => {
  [...document.querySelectorAll(".examples li button")].find(
    button => button.querySelector("strong").textContent === example).click();
  document.querySelector(".graphiql-execute-button").click();
}"""


async def test_an_example_may_be_run_before_graphiql_has_read_it(page: Page) -> None:
    await show(page, "Examples")

    for example in ("Filter", "Groups", "Live query"):
        await page.evaluate(OPEN_AND_RUN, example)
        await expect(result_of(page)).to_contain_text(EXAMPLES[example][1])
        await expect(result_of(page)).not_to_contain_text('"errors"')
    await page.get_by_label("Stop query").click()


async def test_a_subscription_ends_when_another_tab_is_added(page: Page) -> None:
    panel = await show(page, "Examples")
    await panel.get_by_role("button", name="Live query").click()
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("subscription Live")
    async with page.expect_websocket() as socket:
        await page.get_by_label("Execute query").click()
    await expect(result_of(page)).to_contain_text('"live"')

    async with (await socket.value).expect_event("close"):
        await page.get_by_label("New tab").click()

    await expect(result_of(page)).not_to_contain_text('"live"')
    await expect(page.get_by_label("Execute query")).to_be_visible()


async def test_the_example_of_a_subscription_receives_events(
    page: Page, live_server: LiveServer
) -> None:
    panel = await show(page, "Examples")
    await panel.get_by_role("button", name="Subscription").click()
    await expect(page.locator(".graphiql-query-editor")).to_contain_text("subscription Events")
    async with page.expect_websocket() as socket:
        await page.get_by_label("Execute query").click()
    async with (await socket.value).expect_event(
        "framesent", lambda frame: '"subscribe"' in str(frame)
    ):
        pass

    change = """mutation { adjustStock(
      input: {id: "SXRlbToy", expectedVersion: {any: true}, change: {by: 1}}) {
      __typename ... on Error { message } } }"""
    for _ in range(20):
        async with httpx.AsyncClient() as http:
            await http.post(f"{live_server.url}/graphql", json={"query": change})
        if '"payload"' in (await result_of(page).text_content() or ""):
            break
        await asyncio.sleep(0.5)

    await expect(result_of(page)).to_contain_text('"payload"')
    await page.get_by_label("Stop query").click()


# Sharing


SHARED = "query Shared($first: Int!) {\n  customers(first: $first) {\n    totalCount\n  }\n}"


async def copied(page: Page, item: str) -> str:
    await page.get_by_role("button", name="Share", exact=True).click()
    await page.get_by_role("menuitem", name=item).click()
    await expect(page.locator(".note")).to_contain_text("Copied.")
    await page.locator(".note").get_by_label("Close").click()
    await expect(page.locator(".note")).to_have_count(0)
    text: str = await page.evaluate("navigator.clipboard.readText()")
    return text


@pytest.mark.parametrize(
    "page", [urlencode({"query": SHARED, "variables": '{"first": 2}'})], indirect=True
)
async def test_an_operation_is_copied_without_secrets(page: Page) -> None:
    await page.get_by_role("button", name="Headers").click()
    await page.locator(".graphiql-editor-tool:not(.hidden) .view-line").last.click()
    await page.keyboard.insert_text('{"x-api-key": "hidden", "x-trace": "it\'s 1"}')
    await page.evaluate("sessionStorage.setItem('graph:token', 'a.secret.token')")

    link = await copied(page, "Copy link")
    curl = await copied(page, "Copy as cURL")
    code = await copied(page, "Copy as fetch")

    assert parse_qs(urlsplit(link).query) == {"query": [SHARED], "variables": ['{"first": 2}']}
    for text in (link, curl, code):
        assert "hidden" not in text
        assert "secret" not in text
    assert "Bearer YOUR TOKEN" in curl
    assert "x-trace" not in link
    plain = re.sub(r"-H 'authorization: [^']*'", "", curl)
    answer = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", plain], check=True, capture_output=True, text=True
    )
    assert json.loads(answer.stdout)["data"]["customers"]["totalCount"] > 0
    assert json.loads(code.split("JSON.stringify(", 1)[1].rsplit("),\n});", 1)[0]) == {
        "query": SHARED,
        "variables": {"first": 2},
        "operationName": "Shared",
    }


async def test_what_cannot_be_copied_is_shown(page: Page) -> None:
    await page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')) }"
    )
    await page.get_by_role("button", name="Share", exact=True).click()
    await page.get_by_role("menuitem", name="Copy link").click()

    await expect(page.locator(".note textarea")).to_have_value(re.compile("/graphql\\?query="))


# The page


async def test_ctrl_enter_runs_before_the_first_click(page: Page) -> None:
    await page.keyboard.press("Control+Enter")

    await expect(result_of(page)).to_contain_text('"totalCount"')


async def test_a_link_that_is_opened_again_is_the_same_tab(
    live_server: LiveServer, tmp_path: Path
) -> None:
    with_variables = urlencode({"query": SHARED, "variables": '{"first": 2}'})
    links = [with_variables, urlencode({"query": "query Other { viewer { role } }"})]
    async with opened(f"{live_server.url}/graphql?{links[0]}", tmp_path) as page:
        await page.wait_for_load_state("networkidle")
        for link in [*links[1:], *links, *links]:
            await load(page, f"{live_server.url}/graphql?{link}")
            await page.wait_for_load_state("networkidle")
            await page.wait_for_timeout(1500)  # tabs are stored half a second after a change

        await expect(page.locator(".graphiql-tab")).to_have_count(2)
        await expect(page.locator(".graphiql-query-editor")).to_contain_text("query Other")


TRUSTED = {
    "Towns": "query Towns { customers(first: 2) { nodes { town } } }",
    "One": "query One($by: CustomerLookup!) { customer(by: $by) { town } }",
}


@pytest.fixture
async def trusting(
    live_server: LiveServer, cluster: Cluster, tmp_path: Path
) -> AsyncIterator[Page]:
    """A page of a server that runs the documents of a manifest only."""
    assert live_server.url
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(TRUSTED))
    with serving(
        GRAPH_DATABASE_URL=cluster.url("live_store"),
        GRAPH_DOCUMENTS="trusted-only",
        GRAPH_DOCUMENTS_MANIFEST=str(manifest),
    ) as server:
        async with opened(f"{server.url}/graphql", tmp_path / "profile") as page:
            yield page


async def test_where_documents_must_be_trusted_the_page_offers_these(trusting: Page) -> None:
    panel = trusting.locator(".graphiql-plugin")
    await expect(panel.locator("li strong")).to_have_text(["One", "Towns"])

    await panel.get_by_role("button", name="Towns").click()
    await trusting.get_by_label("Execute query").click()
    await expect(result_of(trusting)).to_contain_text('"town"')

    await panel.get_by_role("button", name="One").click()
    await expect(trusting.locator(".graphiql-editor-tool").first).to_contain_text("by")
    docs = await show(trusting, "Documentation Explorer")
    await expect(docs.get_by_role("link", name="Customer", exact=True)).to_be_visible()


@asynccontextmanager
async def on_a_phone(server: LiveServer, profile: Path) -> AsyncIterator[Page]:
    async with opened(f"{server.url}/graphql", profile, PHONE) as page:
        yield page


async def test_a_phone_shows_everything(live_server: LiveServer, tmp_path: Path) -> None:
    async with on_a_phone(live_server, tmp_path) as page:
        await page.keyboard.press("Control+Enter")
        await expect(result_of(page)).to_contain_text('"totalCount"')
        await fits(page, page.locator(".graphiql-query-editor"), result_of(page))

        panel = await show(page, "Explain")
        await panel.get_by_role("button", name="Run", exact=True).click()
        await expect(panel.get_by_role("group", name="Plan")).to_be_visible()
        await fits(page, panel, panel.locator(".facts"), panel.locator(".sql pre"))
        for name in ("Documentation Explorer", "History", "GraphiQL Explorer", "Examples"):
            await fits(page, await show(page, name))

        await panel.get_by_role("button", name="Groups").click()
        await expect(page.locator(".graphiql-query-editor")).to_contain_text("query Groups")
        await page.get_by_text("Sign in", exact=True).click()
        await fits(page, page.locator(".sign-in > div"), page.get_by_label("Settings"))


async def fits(page: Page, *parts: Locator) -> None:
    """Each part is within the window, and the window does not scroll sideways."""
    for part in parts:
        box = await part.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        assert box["width"] > 20
        assert box["height"] > 20
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_a_change_is_seen_by_a_live_query_of_a_link(
    live_server: LiveServer, tmp_path: Path
) -> None:
    live = "subscription { live { customer(by: {databaseId: 1}) { town } } }"
    async with opened(f"{live_server.url}/graphql?{urlencode({'query': live})}", tmp_path) as page:
        await show(page, "Explain")  # subscriptions are not explained
        await page.get_by_label("Execute query").click()
        await expect(result_of(page)).to_contain_text('"town"')

        await move(live_server, "Anywhere")

        await expect(result_of(page)).to_contain_text('"Anywhere"')
        await page.get_by_label("Stop query").click()
