"""The official audit suite of GraphQL over HTTP (npm package graphql-http): all of it passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.node import run_client

if TYPE_CHECKING:
    from tests.conftest import LiveServer

# So many has the suite at the locked version; fewer would mean that some did not run.
_AUDITS = 61


def test_every_audit_passes(live_server: LiveServer) -> None:
    results = run_client("audits.mjs", f"{live_server.url}/graphql")

    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == _AUDITS
