"""Selections that can be merged in one selection set (specification, section 5.3.2).

Two selections with the same response key must have the same field, arguments and type; otherwise
the document is invalid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class SelectedField(NamedTuple):
    """A field with its arguments, as the document writes them."""

    name: str
    arguments: str
    type: str


@dataclass
class Shape:
    """The response keys of a selection set, its fragments included: what each of them asks for."""

    asked: dict[str, SelectedField] = field(default_factory=dict)
    below: dict[str, Shape] = field(default_factory=dict)

    def admits(self, key: str, asked: SelectedField) -> bool:
        return self.asked.get(key, asked) == asked

    def add(self, key: str, asked: SelectedField) -> Shape:
        """Note what a key asks for; return the shape of what is selected below it."""
        self.asked[key] = asked
        return self.below.setdefault(key, Shape())

    def admits_all(self, other: Shape) -> bool:
        return all(
            self.admits(key, asked)
            and (key not in self.below or self.below[key].admits_all(other.below[key]))
            for key, asked in other.asked.items()
        )

    def add_all(self, other: Shape) -> None:
        for key, asked in other.asked.items():
            self.add(key, asked).add_all(other.below[key])
