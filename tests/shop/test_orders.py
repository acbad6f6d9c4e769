"""Ordering: by keyboard, in a race, without a network; and each refusal where it belongs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from playwright.async_api import Page, Route, expect

from graph.relay import to_global_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.shop.conftest import Shop, Visits

ORDERS = "SELECT count(*) FROM orders"


async def stock_up(shop: Shop, item: int, stock: int) -> str:
    """Sets the stock of an item, and returns its name."""
    name: str = await shop.sql(
        "UPDATE items SET stock = $2 WHERE id = $1 RETURNING name", item, stock
    )
    return name


async def add_to_basket(page: Page, item: int, *, pieces: int = 1) -> None:
    await page.goto(urljoin(page.url, path("items", item)))
    await page.get_by_role("button", name="Add to the basket").click()
    await page.get_by_role("link", name="Basket").click()
    if pieces != 1:
        await page.get_by_label("Pieces of").last.fill(str(pieces))


def path(kind: str, key: int) -> str:
    entity = {"items": "Item", "orders": "Order", "customers": "Customer"}[kind]
    return f"/{kind}/{to_global_id(entity, key)}"


async def place_order(page: Page) -> None:
    await page.get_by_role("button", name="Place the order").click()


async def expect_placed(page: Page) -> None:
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Order ")
    await expect(page.get_by_role("link", name="Basket 0")).to_be_visible()


async def test_an_order_needs_no_mouse(visit: Visits, shop: Shop) -> None:
    name = await stock_up(shop, 1, 10)
    page = await visit(path=f"/?search={name}")
    await expect(page.get_by_role("list", name="Items").get_by_role("listitem")).to_have_count(1)

    async def go_to(role: Any, label: str) -> None:
        for _ in range(40):
            await page.keyboard.press("Tab")
            target = page.get_by_role(role, name=label)
            if await target.evaluate_all("elements => elements.includes(document.activeElement)"):
                return
        raise AssertionError(f"Tab does not lead to {label}")

    await go_to("button", f"Add {name} to the basket")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Basket 1")).to_be_visible()
    await page.keyboard.press("Home")
    await page.evaluate("document.activeElement.blur()")
    await go_to("link", "Basket 1")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_focused()  # the basket needs it
    await go_to("button", "Sign in")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("You order for yourself.")).to_be_visible()
    await go_to("spinbutton", f"Pieces of {name}")
    await page.keyboard.press("ArrowUp")
    await go_to("button", "Place the order")
    await page.keyboard.press("Enter")

    await expect_placed(page)
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert await shop.sql("SELECT stock FROM items WHERE id = 1") == 8


async def test_a_wrong_quantity_and_a_shortage_are_shown_at_their_lines(
    visit: Visits, shop: Shop
) -> None:
    plenty, scarce = await stock_up(shop, 2, 100), await stock_up(shop, 3, 2)
    page = await visit("customer", 2)
    await add_to_basket(page, 2, pieces=0)
    await add_to_basket(page, 3, pieces=3)
    first, second = (
        page.get_by_label(f"Pieces of {plenty}"),
        page.get_by_label(f"Pieces of {scarce}"),
    )
    before = await shop.sql(ORDERS)

    await place_order(page)

    await expect(first).to_have_accessible_description("It must be from 1 to 32767, not 0.")
    await expect(first).to_have_attribute("aria-invalid", "true")
    await expect(second).to_have_accessible_description("")
    await first.fill("1")
    await place_order(page)
    await expect(second).to_have_accessible_description("Only 2 left.")
    await expect(first).to_have_accessible_description("")
    assert await shop.sql(ORDERS) == before
    await second.fill("2")
    await place_order(page)
    await expect_placed(page)
    assert await shop.sql("SELECT stock FROM items WHERE id = 3") == 0


async def test_a_race_for_the_last_piece_has_one_winner_and_one_refusal(
    visit: Visits, shop: Shop
) -> None:
    name = await stock_up(shop, 4, 1)
    pages = [await visit("customer", 2), await visit("customer", 3)]
    for page in pages:
        await add_to_basket(page, 4)
        await expect(page.get_by_text("Only 1 left")).to_be_visible()
    before = await shop.sql(ORDERS)

    await asyncio.gather(*(place_order(page) for page in pages))

    for page in pages:
        await expect(page.get_by_text("Sold out.").or_(page.get_by_text("Total"))).to_be_visible()
    refused = [page for page in pages if await page.get_by_text("Sold out.").count()]
    (placed,) = [page for page in pages if page not in refused]
    await expect_placed(placed)
    await expect(refused[0].get_by_label(f"Pieces of {name}")).to_have_accessible_description(
        "Sold out."
    )
    assert await shop.sql(ORDERS) == before + 1
    assert await shop.sql("SELECT stock FROM items WHERE id = 4") == 0


# Without a network


async def test_an_order_that_was_sent_offline_is_placed_once(visit: Visits, shop: Shop) -> None:
    await stock_up(shop, 5, 10)
    page = await visit("customer", 2)
    await add_to_basket(page, 5)
    await expect(page.get_by_text("10 in stock")).to_be_visible()
    before = await shop.sql(ORDERS)

    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()
    await place_order(page)
    await expect(page.get_by_role("button", name="Sending the order")).to_be_disabled()
    await expect(page.get_by_text("sent again until it is answered")).to_be_visible()
    # What the order takes is not shown as available meanwhile.
    await expect(page.get_by_text("9 in stock")).to_be_visible()
    assert await shop.sql(ORDERS) == before
    await page.context.set_offline(False)

    await expect_placed(page)
    await expect(page.get_by_text("You are offline.")).to_have_count(0)
    assert await shop.sql(ORDERS) == before + 1


@asynccontextmanager
async def mutations(page: Page, name: str) -> AsyncIterator[tuple[list[str], asyncio.Event]]:
    """The idempotency keys of a mutation's requests; the first answer waits, and is then lost."""
    keys: list[str] = []
    may_go_on = asyncio.Event()

    async def lose_first(route: Route) -> None:
        body = route.request.post_data_json
        if not body or body.get("operationName") != name:
            await route.fallback()
            return
        keys.append(body["variables"]["key"])
        if len(keys) == 1:
            await route.fetch()
            await may_go_on.wait()
            await route.abort()
        else:
            await route.fallback()

    await page.route("**/graphql", lose_first)
    yield keys, may_go_on
    await page.unroute("**/graphql", lose_first)


async def test_an_order_whose_answer_was_lost_is_not_placed_again(
    visit: Visits, shop: Shop
) -> None:
    await stock_up(shop, 6, 10)
    page = await visit("customer", 2)
    await add_to_basket(page, 6)
    before = await shop.sql(ORDERS)

    async with mutations(page, "PlaceOrder") as (keys, may_go_on):
        may_go_on.set()
        await place_order(page)
        await expect_placed(page)

    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert await shop.sql(ORDERS) == before + 1
    # The browser itself tells of the answer that was lost.
    assert len(visit.witness.complaints) == 2
    visit.witness.complaints.clear()


async def test_a_reload_before_the_answer_does_not_double_the_order(
    visit: Visits, shop: Shop
) -> None:
    await stock_up(shop, 7, 10)
    page = await visit("customer", 2)
    await add_to_basket(page, 7)
    before = await shop.sql(ORDERS)

    async with mutations(page, "PlaceOrder") as (keys, may_go_on):
        await place_order(page)
        await expect(page.get_by_role("button", name="Sending the order")).to_be_visible()
        await page.reload()
        may_go_on.set()
        await place_order(page)
        await expect_placed(page)

    assert len(set(keys)) == 1
    assert await shop.sql(ORDERS) == before + 1
    visit.witness.complaints.clear()


# Changes


async def placed_order(shop: Shop, customer: int, item: int) -> int:
    """An order of one piece that nobody has paid."""
    order: int = await shop.sql(
        "INSERT INTO orders (customer_id, status) VALUES ($1, 'PLACED') RETURNING id", customer
    )
    await shop.sql(
        "INSERT INTO order_lines (order_id, item_id, quantity, unit_price, item_name)"
        " SELECT $1, id, 1, selling_price, name FROM items WHERE id = $2",
        order,
        item,
    )
    return order


async def test_actions_say_why_they_are_not_possible(visit: Visits, shop: Shop) -> None:
    order = await placed_order(shop, 2, 8)
    page = await visit("customer", 2, path=path("orders", order))

    reasons = {
        "Record the payment": "You have no permission for this action.",
        "Ship": "You have no permission for this action. The order must be PAID; it is PLACED.",
    }
    for name, reason in reasons.items():
        button = page.get_by_role("button", name=name)
        await expect(button).to_have_attribute("aria-disabled", "true")
        await expect(button).to_have_accessible_description(reason)
    await page.get_by_role("button", name="Cancel the order").click()
    await page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()

    await expect(page.locator(".page-head .status")).to_have_text("Cancelled")
    await expect(page.get_by_text("Order cancelled")).to_be_visible()  # from the server's history
    assert await shop.sql("SELECT status FROM orders WHERE id = $1", order) == "CANCELLED"


async def test_a_change_is_shown_at_once_and_taken_back_when_it_is_refused(
    visit: Visits, shop: Shop
) -> None:
    order = await placed_order(shop, 2, 8)
    page = await visit("clerk", path=path("orders", order))
    state = page.locator(".page-head .status")
    may_go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        body = route.request.post_data_json
        if body and body.get("operationName") == "AdvanceOrder":
            await may_go_on.wait()
        await route.fallback()

    await page.route("**/graphql", hold)
    await page.get_by_role("button", name="Record the payment").click()
    await expect(state).to_have_text("Paid")
    assert await shop.sql("SELECT status FROM orders WHERE id = $1", order) == "PLACED"
    await shop.sql("UPDATE orders SET status = 'CANCELLED' WHERE id = $1", order)
    may_go_on.set()

    await expect(page.get_by_role("alert")).to_contain_text("somebody else has changed this")
    await expect(state).to_have_text("Cancelled")


async def test_a_line_shows_what_is_wrong_with_its_new_quantity(visit: Visits, shop: Shop) -> None:
    name = await stock_up(shop, 9, 3)
    order = await placed_order(shop, 2, 9)
    page = await visit("customer", 2, path=path("orders", order))
    pieces = page.get_by_label(f"Pieces of {name}")

    for quantity, problem in (
        ("0", "It must be from 1 to 32767, not 0."),
        ("9", "Only 3 more in stock."),
    ):
        await pieces.fill(quantity)
        await page.get_by_role("button", name="Change").click()
        await expect(pieces).to_have_accessible_description(problem)
    await pieces.fill("2")
    await page.get_by_role("button", name="Change").click()

    await expect(page.get_by_role("button", name="Change")).to_have_count(0)
    await expect(pieces).to_have_value("2")
    assert await shop.sql("SELECT quantity FROM order_lines WHERE order_id = $1", order) == 2


async def test_values_of_an_older_version_are_not_saved_over_newer_ones(
    visit: Visits, shop: Shop
) -> None:
    pages = [await visit("clerk", path=path("customers", 4)) for _ in range(2)]
    await pages[0].get_by_label("Town").fill("Firstham")
    await pages[1].get_by_label("Address").fill("1 Second Street")
    await pages[0].get_by_role("button", name="Save").click()
    await expect(pages[0].get_by_role("button", name="Save")).to_be_disabled()
    await expect(pages[1].get_by_label("Town")).to_have_value("Firstham")  # live

    await pages[1].get_by_role("button", name="Save").click()

    await expect(pages[1].get_by_role("alert")).to_contain_text("somebody else has changed this")
    assert await shop.sql("SELECT address FROM customers WHERE id = 4") != "1 Second Street"
    await pages[1].get_by_role("button", name="Reload").click()
    await pages[1].get_by_label("Email").fill("nobody")
    await pages[1].get_by_role("button", name="Save").click()
    await expect(pages[1].get_by_label("Email")).to_have_accessible_description(
        "'nobody' is not an email address."
    )
    await pages[1].get_by_label("Email").fill("second@example.org")
    await pages[1].get_by_role("button", name="Save").click()
    await expect(pages[1].get_by_role("button", name="Save")).to_be_disabled()
    assert await shop.sql("SELECT email FROM customers WHERE id = 4") == "second@example.org"
