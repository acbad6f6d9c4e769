"""Chromium, driven by Playwright, and all that it should not have done meanwhile."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, ConsoleMessage, Request, Route

CHROMIUM_OPTIONS = [
    "--no-sandbox",  # which root may not use
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=30_000)  # milliseconds: the machine may be busy


def chromium() -> str:
    """The path of the browser. Skips the test where there is none; in CI that is a failure."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("chromium is not on PATH")
    return found or pytest.skip("chromium is not on PATH")


@dataclass
class Witness:
    """What a browser did that nobody wants: messages, failed requests, requests to the outside.

    Messages of the types in `unheard` are none.
    """

    unheard: frozenset[str] = frozenset({"log"})
    complaints: list[str] = field(default_factory=list)

    async def watch(self, browser: BrowserContext) -> None:
        browser.on("console", self.listen)
        browser.on("weberror", lambda error: self.note(f"exception: {error.error}"))
        browser.on("requestfailed", self.miss)
        await browser.route("**/*", self.let_loopback_pass)

    def listen(self, message: ConsoleMessage) -> None:
        if message.type not in self.unheard:
            self.note(f"{message.type}: {message.text}")

    def miss(self, request: Request) -> None:
        # A page hangs up itself: after the last part of an answer, and on what it was
        # still loading (a worker of the editor) when it is left.
        if request.failure != "net::ERR_ABORTED":
            self.note(f"failed: {request.url}")

    async def let_loopback_pass(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            await route.continue_()
        else:
            self.note(f"outside: {route.request.url}")
            await route.abort()

    def note(self, complaint: str) -> None:
        self.complaints.append(complaint)
