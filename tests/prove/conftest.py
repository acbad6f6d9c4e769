"""Prints the figures of the proof at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("GRAPH_PROVE_ROUNDS", "1"))

_figures: list[str] = []


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what was counted, under the name of the test."""

    def note(**counted: Any) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items())
        _figures.append(f"{request.node.name}: {told}")

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _figures and "GRAPH_PROVE_ROUNDS" in os.environ:
        terminalreporter.section("figures")
        for line in _figures:
            terminalreporter.write_line(line)
