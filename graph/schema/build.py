"""Builds objects of Strawberry types from values, without calling their constructors."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def build(type_: type[T], **values: Any) -> T:
    """An object with these attributes: its fields, or the values that its fields are read from."""
    made = object.__new__(type_)
    made.__dict__.update(values)
    return made
