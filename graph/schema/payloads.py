"""How a mutation is declared, and what its success says of rows.

A resolver does the change and returns its success; what is asked of the rows in it is read later,
in the same transaction.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from strawberry import UNSET

from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import Meaning, declare

if TYPE_CHECKING:
    from collections.abc import Callable


def mutation(description: str, resolver: Callable[..., Any]) -> Any:
    """A field that changes the store. Its resolver runs once, however often it is asked."""

    @wraps(resolver)
    async def once(info: Info, **arguments: Any) -> Any:
        assert info.context.change is not None  # noqa: S101  only mutations have such fields
        return await info.context.change.once(partial(resolver, info, **arguments))

    return declare(Meaning.MUTATION, description, resolver=once)


def reference(description: str) -> Any:
    """The row whose key the object has, in an attribute of the field's name and `_id`."""
    return declare(Meaning.REFERENCE, description, resolver=_reference)


def given(input_: Any) -> dict[str, Any]:
    """What a client has given of an input object, by Python name; not what it has left out."""
    return {name: _plain(value) for name, value in vars(input_).items() if value is not UNSET}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return given(value) if is_dataclass(value) else value


def _reference(root: Any, info: Info) -> Any:
    if getattr(root, info.context.selected(info.path).relationship.source_column) is None:
        return None
    return info.context.loaders.one(info.context.selected(info.path), root)
