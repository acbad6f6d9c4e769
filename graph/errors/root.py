"""The root of all errors."""

from __future__ import annotations


class GraphError(Exception):
    """The root of the tree. `str(error)` is the message for the client or the operator."""


def shortened(text: str, most: int = 64) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
