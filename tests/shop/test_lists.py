"""Lists: what they hold, how they grow, and that they keep their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.shop.conftest import Shop, Visits


# So long it takes at most until a list knows that its end is near.
THREE_FRAMES = """async () => {
  for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
}"""
LINKS = {
    "/": "true",
    "/?stock=out": "stock = 0",
    "/?stock=in&price=25.00": "(stock > 0 OR stock IS NULL) AND selling_price <= 25",
    "/?search=teapot": "name ILIKE '%teapot%'",
    "/?search=nothing+of+the+kind": "false",
}


async def test_a_link_holds_the_filters(visit: Visits, shop: Shop) -> None:
    page = await visit()
    for link, condition in LINKS.items():
        statement = f"SELECT count(*) FROM items WHERE {condition}"  # noqa: S608  constants
        total = await shop.sql(statement)

        await page.goto(shop.url + link)

        shown = f"{min(total, 24)} of {total}" if total else "Nothing matches."
        await expect(page.get_by_text(shown, exact=True)).to_be_visible()


async def test_filters_go_into_the_link(visit: Visits, shop: Shop) -> None:
    page = await visit()

    await page.get_by_label("Sort by").select_option("cheapest")
    await page.get_by_label("Search").fill("window box")

    await page.wait_for_url("**/?sort=cheapest&search=window+box")
    cheapest = await shop.sql(
        "SELECT name FROM items WHERE name ILIKE '%window box%' ORDER BY selling_price, id LIMIT 1"
    )
    await expect(page.get_by_role("list", name="Items").get_by_role("link").first).to_have_text(
        cheapest
    )


async def test_a_list_grows_when_its_end_comes_near_and_keeps_its_place(visit: Visits) -> None:
    page = await visit()
    rows = page.get_by_role("list", name="Items").get_by_role("listitem")
    await expect(rows).to_have_count(24)
    for size in (48, 72):
        await rows.last.scroll_into_view_if_needed()
        await page.mouse.wheel(0, 2_000)
        await expect(rows.nth(size - 1)).to_be_attached()
    item = rows.nth(40).get_by_role("link")
    await item.scroll_into_view_if_needed()
    # The end may have come near once more before that.
    await page.evaluate(THREE_FRAMES)
    await expect(page.get_by_role("list", name="Items")).to_have_attribute("aria-busy", "false")
    place = await page.evaluate("scrollY")
    size = await rows.count()

    await item.click()
    await expect(page.get_by_role("heading", name="Price and stock")).to_be_visible()
    assert await page.evaluate("scrollY") == 0
    await page.go_back()

    await expect(rows).to_have_count(size)
    await page.wait_for_function("place => scrollY === place", arg=place)
    await page.evaluate(THREE_FRAMES)
    assert await page.evaluate("scrollY") == place


async def test_orders_are_found_by_status_and_customer(visit: Visits, shop: Shop) -> None:
    name = await shop.sql(
        "SELECT last_name FROM customers JOIN orders ON customers.id = customer_id"
        " WHERE status = 'DELIVERED' LIMIT 1"
    )
    page = await visit("clerk", path="/orders")

    await page.get_by_label("Status").select_option("DELIVERED")
    await page.get_by_label("Customer").fill(name)

    rows = page.get_by_role("list", name="Orders").get_by_role("listitem")
    await expect(rows.filter(has_not_text=re.compile(f"{name}.*Delivered"))).to_have_count(0)
    await expect(rows.first).to_be_visible()
