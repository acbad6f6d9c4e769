"""Objects of Strawberry types that are made from values, without a call of their constructor."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def build(type_: type[T], **values: Any) -> T:
    """An object that has these attributes: fields, or what its fields are read from."""
    made = object.__new__(type_)
    made.__dict__.update(values)
    return made
