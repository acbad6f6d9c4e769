"""Fixtures: a receiver, and deliveries without long pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graph.server.webhooks import delivery
from tests.server.webhooks.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.server.webhooks.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(delivery, "_IDLE_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "_FIRST_RETRY_SECONDS", 0.1)
