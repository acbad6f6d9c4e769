"""What the log has of a task in the background that fails, and is tried again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from graph.database.tasks import FailureLog
from graph.errors import ReadOnly, Unavailable

if TYPE_CHECKING:
    import pytest


def test_failures_are_logged_once_of_each_kind_and_at_their_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "graph.tests")
    failures = FailureLog(logging.getLogger("graph.tests"), "it fails", "it succeeds again")
    tries = [
        OSError("a\nb"),
        ValueError(),
        OSError("a"),
        ValueError(),
        None,
        None,
        ReadOnly(),
        None,
    ]

    for error in [*tries, Unavailable(), None]:
        with failures.caught():
            if error is not None:
                raise error

    assert caplog.messages == [
        "it fails: a",
        "it fails: ValueError",
        "it succeeds again",
        f"it fails: {Unavailable()}",
        "it succeeds again",
    ]
