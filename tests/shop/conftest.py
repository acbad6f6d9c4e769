"""The shop as `make` builds it, in Chromium, on a server that runs its documents and no others.

shop      the address of the shop, and SQL on its store    the whole run
visit     opens the shop as somebody, in a browser context of their own    each test
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest
from playwright.async_api import Browser, Page, Request, async_playwright, expect

from graph.database.engine import Database
from graph.server.demo import AUDIENCE, OWN_CLAIM, demo_token
from graph.settings import DEVELOPMENT_ISSUER
from graph.store.seed import seed
from tests.browser import CHROMIUM_OPTIONS, Witness, chromium
from tests.conftest import administer, eventually, free_port, serving, settings_for
from tests.node import environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.database.embedded import Cluster

SHOP = Path(__file__).parents[2] / "examples" / "shop"
MANIFEST = SHOP / "dist" / "manifest.json"
SECRET = "a secret of 32 bytes at the least"  # noqa: S105  of this server only


@dataclass
class Shop:
    url: str
    database_url: str

    async def sql(self, statement: str, *arguments: Any) -> Any:
        """The first value of a statement's result."""
        connection = await asyncpg.connect(self.database_url.replace("+asyncpg", ""))
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def shop(cluster: Cluster, template: str) -> Iterator[Shop]:
    _require_bundle()
    url = cluster.url("shop_store")

    async def make() -> None:
        await administer(cluster, f"CREATE DATABASE shop_store TEMPLATE {template}")
        database = Database.connect(settings_for(url))
        await seed(database, customers=60)
        await database.close()

    asyncio.run(make())
    settings = {
        "GRAPH_DATABASE_URL": url,
        "GRAPH_DOCUMENTS": "trusted-only",
        "GRAPH_DOCUMENTS_MANIFEST": str(MANIFEST),
        "GRAPH_JWT_ISSUER": DEVELOPMENT_ISSUER,
        "GRAPH_JWT_AUDIENCE": AUDIENCE,
        "GRAPH_JWT_SECRET": SECRET,
        "GRAPH_JWT_OWN_CLAIM": OWN_CLAIM,
        "GRAPH_ANONYMOUS_ROLE": "anonymous",
    }
    with serving(**settings) as server, _previewed(server.url) as address:
        yield Shop(address, url)


def _require_bundle() -> None:
    if MANIFEST.exists():
        return
    problem = "the shop is not built: make examples/shop/dist/manifest.json"
    if os.environ.get("CI") == "true":
        pytest.fail(problem)
    pytest.skip(problem)


@contextmanager
def _previewed(api: str) -> Iterator[str]:
    """The built files, served by `vite preview`, which hands requests of the API on to it."""
    port = str(free_port())
    process = subprocess.Popen(
        ["node", "node_modules/vite/bin/vite.js", "preview", "--port", port, "--strictPort"],
        cwd=SHOP,
        env=environment() | {"GRAPH_URL": api},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: process.poll() is not None or _answers(url), seconds=60)
        assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@dataclass
class Visits:
    """Visitors of one test, each with a browser context: a device, its storage and its network."""

    browser: Browser
    shop: Shop
    stack: AsyncExitStack
    witness: Witness

    async def __call__(
        self, role: str | None = None, own: int | None = None, *, path: str = "/", **context: Any
    ) -> Page:
        device = await self.stack.enter_async_context(
            await self.browser.new_context(**({"locale": "en-GB"} | context))
        )
        await self.witness.watch(device)
        device.on("request", self._check_document)
        page = await device.new_page()
        if role:
            token = demo_token(SECRET, role, own, seconds=3_600)
            await page.add_init_script(f"sessionStorage['shop:token'] ??= '{token}'")
        await page.goto(self.shop.url + path)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        return page

    def _check_document(self, request: Request) -> None:
        body = request.post_data_json if request.url.endswith("/graphql") else None
        if body and ("query" in body or "persistedQuery" not in body["extensions"]):
            self.witness.note(f"a text was sent: {body}")


@pytest.fixture
async def visit(shop: Shop) -> AsyncIterator[Visits]:
    executable = chromium()
    witness = Witness()
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=CHROMIUM_OPTIONS
        )
        stack.push_async_callback(browser.close)

        yield Visits(browser, shop, stack, witness)

    assert witness.complaints == []
