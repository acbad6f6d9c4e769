"""Two screens at once, and what each viewer may see."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.async_api import expect

from tests.shop.test_orders import add_to_basket, expect_placed, path, place_order, stock_up

if TYPE_CHECKING:
    from tests.shop.conftest import Shop, Visits


async def test_an_order_on_one_screen_is_seen_on_the_others(visit: Visits, shop: Shop) -> None:
    name = await stock_up(shop, 11, 20)
    items = await visit(path=f"/?search={name}")
    orders = await visit("clerk", path="/orders")
    rows = orders.get_by_role("list", name="Orders").get_by_role("listitem")
    first = await rows.first.inner_text()
    customer = await visit("customer", 2)
    await add_to_basket(customer, 11)

    await place_order(customer)
    await expect_placed(customer)

    await expect(items.get_by_text("19 in stock")).to_be_visible()
    # The list stays as it was read until the clerk wants it otherwise.
    show = orders.get_by_role("button", name="1 new order: show")
    await expect(show).to_be_visible()
    assert await rows.first.inner_text() == first
    await show.click()
    title = customer.get_by_role("heading", level=1)
    await expect(title).to_have_text(re.compile(r"Order \d+"))
    await expect(rows.first.get_by_role("link")).to_have_text(await title.inner_text())

    await rows.first.get_by_role("link").click()
    await orders.get_by_role("button", name="Record the payment").click()
    await expect(customer.locator(".page-head .status")).to_have_text("Paid")
    await expect(customer.get_by_text("Order paid")).to_be_visible()


async def test_everybody_sees_what_they_may(visit: Visits) -> None:
    nobody = await visit()
    await expect(nobody.get_by_role("navigation").get_by_role("link")).to_have_text(
        ["Shop", "Basket 0"]
    )
    customer = await visit("customer", 2, path="/orders")
    links = customer.get_by_role("navigation").get_by_role("link")
    await expect(links).to_have_text(["Shop", "Orders", "Basket 0"])
    await expect(customer.get_by_label("Customer")).to_have_count(0)

    clerk = await visit("clerk", path=path("items", 12))
    await expect(clerk.get_by_label("Change the stock by")).to_be_visible()
    await expect(clerk.get_by_text("It costs the store")).to_have_count(0)
    manager = await visit("manager", path=path("items", 12))
    await expect(manager.get_by_text("It costs the store")).to_be_visible()
    await expect(manager.get_by_role("heading", name="History")).to_be_visible()

    # What one viewer has seen is not shown to the next one.
    await manager.get_by_role("button", name="Sign out").click()
    await expect(manager.get_by_role("heading", name="Price and stock")).to_be_visible()
    await expect(manager.get_by_text("It costs the store")).to_have_count(0)


async def test_the_stock_is_changed_by_what_came_and_went(visit: Visits, shop: Shop) -> None:
    await stock_up(shop, 13, 5)
    page = await visit("clerk", path=path("items", 13))
    change = page.get_by_label("Change the stock by")

    await change.fill("-6")
    await page.get_by_role("button", name="Change").click()
    await expect(change).to_have_accessible_description("There are only 5.")
    await change.fill("20")
    await page.get_by_role("button", name="Change").click()

    await expect(page.get_by_text("25 in stock")).to_be_visible()
    await expect(change).to_have_value("")
    assert await shop.sql("SELECT stock FROM items WHERE id = 13") == 25
