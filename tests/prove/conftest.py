"""Prints the figures of the proof at the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(os.environ.get("GRAPH_PROVE_ROUNDS", "1"))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what was counted, under the name of the test."""

    def note(**counted: Any) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items())
        request.node.user_properties.append(("figures", f"{request.node.name}: {told}"))

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = terminalreporter.getreports("passed")
    # A report brings them along from the worker.
    figures = [text for each in reports for name, text in each.user_properties if name == "figures"]
    if figures and "GRAPH_PROVE_ROUNDS" in os.environ:
        terminalreporter.section("figures")
        for line in sorted(figures):
            terminalreporter.write_line(line)
