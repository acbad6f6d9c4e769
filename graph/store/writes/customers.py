"""The rules for adding, changing and deleting customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.database.writes import at_once, rows
from graph.database.writes.values import INPUT, Values, check_version
from graph.errors import NotAllowed, ProblemCode, Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graph.database.transaction import Transaction
    from graph.database.worlds import World
    from graph.database.writes.at_once import ChangeAtOnce
    from graph.viewer import Viewer

_TEXTS = ("first_name", "last_name", "username", "email", "address", "town")

_IN_USE = """
    SELECT EXISTS (SELECT FROM customers WHERE username = $1 AND id <> $3) AS username,
           EXISTS (SELECT FROM customers WHERE lower(email) = lower($2) AND id <> $3) AS email
"""
_TAKEN = """
    SELECT FROM customers WHERE username = {username} UNION ALL
    SELECT FROM customers WHERE lower(email) = lower({email})
"""
_DELETE = """
    DELETE FROM customers WHERE id = $1
    AND NOT EXISTS (SELECT FROM orders WHERE customer_id = $1) RETURNING id
"""


async def create(
    transaction: Transaction, given: Mapping[str, Any], path: tuple[str, ...] = INPUT
) -> int:
    """Add a customer; return its key. `path` leads to its values in the mutation's arguments.

    Raises:
        ValidationFailed: texts are missing or too long; the username or email address is taken.
    """
    values = Values(given, path)
    texts = _new(values)
    await _check_free(transaction, values, 0)
    return await rows.insert(transaction, "Customer", texts)


def create_at_once(_: Viewer, __: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `create`, in one statement."""
    values = Values(given)
    texts = _new(values)
    return None if values.problems else at_once.insert_at_once("Customer", texts, taken=_TAKEN)


async def update(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Change the provided values of a customer; return its key.

    Raises:
        ValidationFailed: as `create`.
        NotFound: the customer does not exist.
        Conflict: its version is not the expected one.
    """
    values, key, expected, texts = _changes(given)
    values.check()
    row = await rows.lock(transaction, "Customer", key, "version")
    check_version("Customer", key, expected=expected, row=row)
    if "username" in values or "email" in values:
        await _check_free(transaction, values, key)
    await rows.update(transaction, "Customer", key, texts)
    return key


def update_at_once(viewer: Viewer, world: World, given: Mapping[str, Any]) -> ChangeAtOnce | None:
    """As `update`, in one statement. A name that is taken violates a constraint."""
    values, key, expected, texts = _changes(given)
    if values.problems:
        return None
    return at_once.update_at_once(viewer, world, "Customer", key, expected=expected, values=texts)


async def delete(transaction: Transaction, given: Mapping[str, Any]) -> int:
    """Delete a customer who has no orders; return the key.

    Raises:
        ValidationFailed, NotFound, Conflict: as `update`.
        NotAllowed: the customer has orders.
    """
    values = Values(given)
    key, expected = values.key("id", "Customer"), values.expected_version()
    values.check()
    row = await rows.lock(transaction, "Customer", key, "version", deletes=True)
    check_version("Customer", key, expected=expected, row=row)
    if not await transaction.first(_DELETE, key):
        raise NotAllowed(Reason(ReasonCode.HAS_ORDERS, "The customer has orders."))
    return key


def _new(values: Values) -> dict[str, str | None]:
    """The texts of a new customer."""
    texts = values.texts("Customer", *_TEXTS, required=True)
    values.email("email")
    return texts


def _changes(given: Mapping[str, Any]) -> tuple[Values, int, int | None, dict[str, str | None]]:
    """The values of an update; the key, the expected version and the new texts in them."""
    values = Values(given)
    key, expected = values.key("id", "Customer"), values.expected_version()
    texts = values.texts("Customer", *_TEXTS, required=False)
    values.email("email")
    return values, key, expected, texts


async def _check_free(transaction: Transaction, values: Values, key: int) -> None:
    """Check that the username and the email address are free, and that there are no problems."""
    username, email = values.given("username"), values.given("email")
    row = await transaction.first(_IN_USE, username, email, key)
    if row["username"]:
        values.wrong("username", ProblemCode.TAKEN, "The username is taken.")
    if row["email"]:
        values.wrong("email", ProblemCode.TAKEN, "The email address is taken.")
    values.check()
