"""The parameters of a statement, by their names, and how they are read from an operation's values.

A name such as `3.o1` is the index of a field's arguments, what is read there, and which of several.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from graph.database.worlds import OWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PARAMETER = re.compile(r"([0-9]+)\.([a-z]+)([0-9]*)")


def binder(name: str) -> Callable[[Sequence[Any]], Any] | None:
    """A function that reads a parameter such as `3.limit` from the values of the arguments.

    None for the key of the viewer's own row, which is no argument.
    """
    if name == OWN:
        return None
    argument_index, what, number = _PARAMETER.fullmatch(name).groups()  # type: ignore[union-attr]
    return _reader(int(argument_index), what, int(number or 0))


def _reader(  # noqa: PLR0911  one for each
    argument_index: int, what: str, number: int
) -> Callable[[Sequence[Any]], Any]:
    match what:
        case "o":
            return lambda values: values[argument_index].operands[number]
        case "limit":
            return lambda values: values[argument_index].size
        case "offset":
            return lambda values: values[argument_index].offset
        case "after":
            return lambda values: values[argument_index].after[number]
        case "before":
            return lambda values: values[argument_index].before[number]
        case "entities":
            return lambda values: [entity for entity, _ in values[argument_index].keys]
        case "keys":
            return lambda values: [key for _, key in values[argument_index].keys]
        case "texts":
            return lambda values: [str(key) for _, key in values[argument_index].keys]
        case _:
            return lambda values: values[argument_index].value
