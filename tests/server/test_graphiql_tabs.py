"""What GraphiQL shows in which of its tabs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.async_api import expect

from tests.server.test_graphiql import DEFERRED, page
from tests.server.test_graphiql_panels import body_of, result_of, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page, Route

__all__ = ["page"]

OTHER = "{ items(first: 1) { nodes { name } } }"
DEFERRED_LINK = urlencode({"query": DEFERRED, "variables": '{"first": 2}'})


@asynccontextmanager
async def answered_later(page: Page, body: str | None = None) -> AsyncIterator[None]:
    """Run the operation that is shown; it is answered, by this body if any, after the block."""
    sent, released, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        if sent.is_set():
            await route.fallback()
            return
        sent.set()
        await released.wait()
        if body is None:
            response = await route.fetch()
            await route.fulfill(response=response)
        else:
            await route.fulfill(body=body, content_type="application/json")
        done.set()

    await page.route("**/graphql", hold)
    await page.get_by_label("Execute query").click()
    await sent.wait()
    yield
    released.set()
    await done.wait()
    await page.unroute("**/graphql")
    # Time to show it in the wrong tab, before a test shows the right one.
    await page.wait_for_timeout(200)


async def open_tab(page: Page, nth: int) -> None:
    """Show a tab that exists."""
    await page.locator(f"#graphiql-session-tab-{nth}").click()


async def write(page: Page, query: str) -> None:
    await page.locator(".graphiql-query-editor .view-line").first.click()
    await page.keyboard.insert_text(query)


async def test_an_answer_waits_in_the_tab_that_asked(page: Page) -> None:
    async with answered_later(page):
        await page.get_by_label("New tab").click()
        await expect(page.locator(".graphiql-tab")).to_have_count(2)

    await open_tab(page, 0)
    await expect(result_of(page)).to_contain_text('"firstName"')
    await open_tab(page, 1)
    await expect(result_of(page)).not_to_contain_text('"firstName"')


async def test_an_answer_comes_to_the_tab_that_is_shown_again(page: Page) -> None:
    async with answered_later(page):
        await page.get_by_label("New tab").click()
        await write(page, OTHER)
        await page.get_by_label("Execute query").click()
        await expect(result_of(page)).to_contain_text('"items"')
        await open_tab(page, 0)
        await expect(result_of(page)).not_to_contain_text('"items"')

    await expect(result_of(page)).to_contain_text('"firstName"')
    await open_tab(page, 1)
    await expect(result_of(page)).to_contain_text('"items"')


async def test_a_run_goes_on_when_one_of_another_tab_ends(page: Page) -> None:
    panel = await show(page, "Examples")
    async with answered_later(page):
        await panel.get_by_role("button", name="Live query").click()
        await expect(page.locator(".graphiql-query-editor")).to_contain_text("subscription Live")
        await page.get_by_label("Execute query").click()
        await expect(result_of(page)).to_contain_text('"live"')

    await expect(result_of(page)).to_contain_text('"live"')
    await page.get_by_label("Stop query").click()


async def test_an_older_answer_replaces_no_newer_one(page: Page) -> None:
    async with answered_later(page, '{"data": {"older": true}}'):
        await page.get_by_label("New tab").click()
        await open_tab(page, 0)
        await page.get_by_label("Execute query").click()
        await expect(result_of(page)).to_contain_text('"firstName"')

    await expect(result_of(page)).to_contain_text('"firstName"')


async def test_an_answer_that_cannot_be_read_is_an_error_of_its_tab(page: Page) -> None:
    async with answered_later(page, "nonsense"):
        await page.get_by_label("New tab").click()

    await open_tab(page, 0)
    await expect(result_of(page)).to_contain_text("nonsense")
    await open_tab(page, 1)
    await expect(result_of(page)).not_to_contain_text("nonsense")


async def test_the_answer_of_a_closed_tab_is_shown_nowhere(page: Page) -> None:
    async with answered_later(page):
        await page.get_by_label("New tab").click()
        await open_tab(page, 0)
        await page.locator(".graphiql-tab-active").get_by_label("Close Tab").click()
        await expect(page.locator(".graphiql-tab")).to_have_count(1)

    await expect(result_of(page)).not_to_contain_text('"firstName"')


@pytest.mark.parametrize("page", [DEFERRED_LINK], indirect=True)
async def test_parts_are_put_together_in_a_tab_that_was_left(page: Page) -> None:
    async with answered_later(page):
        await page.get_by_label("New tab").click()

    await open_tab(page, 0)
    result = result_of(page)
    await expect(result.get_by_text('"username"')).to_have_count(2)
    await expect(result.get_by_text('"town"')).to_have_count(2)


@pytest.mark.parametrize("page", [DEFERRED_LINK], indirect=True)
async def test_an_answer_in_parts_is_explained(page: Page) -> None:
    panel = await show(page, "Explain")
    async with page.expect_request(lambda request: request.method == "POST") as sent:
        await panel.get_by_role("button", name="Run", exact=True).click()

    assert "explain" in body_of(await sent.value)["extensions"]
    await expect(result_of(page).get_by_text('"username"')).to_have_count(2)
    await expect(result_of(page).get_by_text('"town"')).to_have_count(2)
