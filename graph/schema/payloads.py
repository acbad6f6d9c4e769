"""Declarations of mutations and of the rows in their payloads.

The rule of a mutation makes the change, and its payload is built from the result. The fields that
are selected of the payload's rows are read afterwards, in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from strawberry import UNSET

from graph.relay import to_global_id
from graph.schema.build import build
from graph.schema.context import Info  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import REQUIRED, Meaning, argument, declare, signature

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from graph.database.transaction import Transaction
    from graph.database.worlds import World
    from graph.database.writes.at_once import ChangeAtOnce
    from graph.viewer import Viewer

# Makes a change from the values of an input, and returns the keys of the rows concerned.
Rule: TypeAlias = "Callable[[Transaction, Mapping[str, Any]], Awaitable[Any]]"
# The same change as one statement, for a viewer who may change the rows of a world; None if it is
# none, or not valid.
AtOnce: TypeAlias = "Callable[[Viewer, World, Mapping[str, Any]], ChangeAtOnce | None]"


@dataclass(frozen=True, slots=True)
class Success:
    """How a payload is built from the result of a rule."""

    payload: type
    build: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class DeclaredMutation:
    """A mutation that is one call of a rule, with the values of its argument `input`.

    `at_once` may make the same change in one statement. The rule runs where that does nothing.
    """

    rule: Rule
    success: Success
    at_once: AtOnce | None = None


_DRY_RUN = argument(bool, "Make the change, return the full result, and roll everything back.")


def mutation(
    description: str,
    *,
    rule: Rule,
    input: type,  # noqa: A002  the argument's name
    success: Success,
    at_once: AtOnce | None = None,
) -> Any:
    """A field that changes the store by one call of a rule.

    `input` is the Strawberry type of the argument `input`, whose values the rule takes; `success`
    is `saved(...)` or `deleted(...)`. See `DeclaredMutation` for `at_once`.
    """

    async def change(info: Info, *, input: Any) -> Any:  # noqa: A002  the argument's name
        return success.build(await rule(info.context.transaction, given(input)))

    return change_field(
        description,
        change,
        {"input": argument(input, "The values of the change.")},
        declared=DeclaredMutation(rule, success, at_once),
        input=REQUIRED,
    )


def change_field(
    description: str,
    change: Callable[..., Awaitable[Any]],
    arguments: dict[str, Any],
    *,
    declared: DeclaredMutation | None = None,
    **defaults: Any,
) -> Any:
    """A field whose resolver awaits `change(info, **arguments)`, with the argument `dryRun` added.

    The change is made once, even if the answer needs the resolver several times. The transaction
    handles dry runs, so that the change does not depend on `dryRun`. A `declared` mutation is made
    without the resolver where that comes to the same.
    """

    async def once(info: Info, *, dry_run: bool, **values: Any) -> Any:
        del dry_run
        assert info.context.change is not None  # noqa: S101  only mutations have such fields
        return await info.context.change.once(partial(change, info, **values))

    once.__signature__ = signature(  # type: ignore[attr-defined]
        arguments | {"dry_run": _DRY_RUN}, of_root=True, dry_run=False, **defaults
    )
    return declare(Meaning.MUTATION, description, more=declared, resolver=once)


def saved(payload: type, *attributes: str) -> Success:
    """Builds a payload with the keys that a rule returns: one attribute for each, same order."""

    def build_payload(keys: Any) -> Any:
        if len(attributes) == 1:
            return build(payload, **{attributes[0]: keys})
        return build(payload, **dict(zip(attributes, keys, strict=True)))

    return Success(payload, build_payload)


def deleted(payload: type, entity: str) -> Success:
    """Builds a payload with `deleted_id`: the global id that the row of this entity had."""
    return Success(payload, lambda key: build(payload, deleted_id=to_global_id(entity, key)))


def reference(description: str) -> Any:
    """A row. The payload holds its key, in an attribute named after the field with `_id` added."""
    return declare(Meaning.REFERENCE, description, resolver=_reference)


def given(input_: Any) -> dict[str, Any]:
    """The fields of an input object that the client has provided, by Python name."""
    return {name: _plain(value) for name, value in vars(input_).items() if value is not UNSET}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return given(value) if is_dataclass(value) else value


def _reference(root: Any, info: Info) -> Any:
    if getattr(root, info.context.selected(info.path).relationship.source_column) is None:
        return None
    return info.context.loaders.one(info.context.selected(info.path), root)
