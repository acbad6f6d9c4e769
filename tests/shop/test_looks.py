"""Each page for everybody: no violation for axe-core, in light and dark; a phone is wide enough.

The same run takes the pictures of the README:

    SHOP_PICTURES=docs/images .venv/bin/pytest tests/shop/test_looks.py
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect

from tests.shop.conftest import SHOP
from tests.shop.test_orders import add_to_basket, path, place_order, placed_order, stock_up

if TYPE_CHECKING:
    from tests.shop.conftest import Shop, Visits

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PAGES = [
    "/",
    "/?search=nothing+of+the+kind",
    path("items", 14),
    "/orders",
    path("orders", 100),
    "/customers",
    path("customers", 5),
    "/basket",
    "/sign-in",
    "/nowhere",
]
AXE = """axe.run().then(({violations, passes}) => ({
  rules: passes.length,
  violations: violations.map(({id, nodes}) => id + ': ' + nodes.map(({html}) => html).join(' ')),
}))"""


async def violations(page: Page) -> list[str]:
    await page.evaluate((SHOP / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8"))
    result = await page.evaluate(AXE)
    assert result["rules"] > 15  # that it looked
    found: list[str] = result["violations"]
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_violation(visit: Visits, shop: Shop, scheme: str) -> None:
    page = await visit("manager", color_scheme=scheme, reduced_motion="reduce")
    found = []
    for link in PAGES:
        await page.goto(shop.url + link)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.get_by_text("Loading")).to_have_count(0)
        found += [f"{link}: {violation}" for violation in await violations(page)]

    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_no_violation_in_what_is_refused(
    visit: Visits, shop: Shop, scheme: str
) -> None:
    await stock_up(shop, 15, 1)
    page = await visit("customer", 2, color_scheme=scheme, reduced_motion="reduce")
    await add_to_basket(page, 15, pieces=2)
    await place_order(page)
    await expect(page.get_by_text("Only 1 left.")).to_be_visible()
    assert await violations(page) == []
    await page.get_by_label("Pieces of").fill("0")
    await place_order(page)
    await expect(page.get_by_text("Not saved")).to_be_visible()
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline.")).to_be_visible()

    assert await violations(page) == []


async def test_a_phone_scrolls_in_one_direction(visit: Visits, shop: Shop) -> None:
    page = await visit("manager", viewport={"width": 360, "height": 740}, is_mobile=True)
    await page.evaluate(
        "itemId => sessionStorage['shop:basket'] ="
        " JSON.stringify({key: 'k', lines: [{itemId, quantity: 1}]})",
        path("items", 14).rsplit("/", 1)[1],
    )
    for link in PAGES:
        await page.goto(shop.url + link)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await expect(page.get_by_text("Loading")).to_have_count(0)

        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == 360, link


async def test_nothing_moves_for_those_who_do_not_want_it(visit: Visits) -> None:
    page = await visit(reduced_motion="reduce")

    durations = await page.evaluate(
        "[...document.querySelectorAll('*')].flatMap(element =>"
        " getComputedStyle(element).transitionDuration.split(', '))"
    )

    assert set(durations) == {"0s"}


# Pictures


async def test_pictures_of_the_readme(visit: Visits, shop: Shop, tmp_path: Path) -> None:
    folder = Path(os.environ.get("SHOP_PICTURES", tmp_path))
    name = await stock_up(shop, 16, 3)
    size = {"width": 1040, "height": 650}
    items = await visit("clerk", viewport=size)
    await expect(items.get_by_role("list", name="Items")).to_be_visible()
    await take(items, folder / "shop-items.webp")

    basket = await visit("customer", 2, viewport=size, color_scheme="dark")
    await add_to_basket(basket, 17)
    await add_to_basket(basket, 16, pieces=5)
    await place_order(basket)
    await expect(basket.get_by_label(f"Pieces of {name}")).to_have_accessible_description(
        "Only 3 left."
    )
    await take(basket, folder / "shop-basket.webp")

    number = await placed_order(shop, 2, 18)
    order = await visit("clerk", viewport=size, path=path("orders", number))
    await order.get_by_role("button", name="Record the payment").click()
    await expect(order.get_by_text("Order paid")).to_be_visible()
    await take(order, folder / "shop-order.webp")

    taken = sorted(picture.name for picture in folder.glob("shop-*.webp"))
    assert taken == sorted(picture.name for picture in IMAGES.glob("shop-*.webp"))
    for picture in [*folder.glob("shop-*.webp"), *IMAGES.glob("shop-*.webp")]:
        assert 5_000 < picture.stat().st_size < 60_000


async def take(page: Page, file: Path) -> None:
    """A picture of the window as WebP, which the browser makes from Playwright's PNG."""
    await page.evaluate("document.activeElement?.blur()")
    png = base64.b64encode(await page.screenshot()).decode()
    blank = await page.context.new_page()
    webp = await blank.evaluate(
        """async png => {
          const image = new Image();
          image.src = 'data:image/png;base64,' + png;
          await image.decode();
          const canvas = Object.assign(document.createElement('canvas'),
            {width: image.width, height: image.height});
          canvas.getContext('2d').drawImage(image, 0, 0);
          return canvas.toDataURL('image/webp', 0.85).split(',')[1];
        }""",
        png,
    )
    await blank.close()
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(base64.b64decode(webp))
