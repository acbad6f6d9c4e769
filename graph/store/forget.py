"""Forgets a person: replaces everything that names a customer, and keeps the books.

The customer's row stays, with its orders: their sums must not change. Its names, addresses and
those in its history and in kept answers of mutations are replaced. Logs, backups and files that
were exported are not within reach.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from graph.database.transaction import transaction
from graph.errors import NotFound
from graph.relay import to_global_id
from graph.viewer import Viewer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graph.database.engine import Database
    from graph.database.transaction import Transaction

# The columns whose values tell who a person is, each by itself.
_TELLING = {"username", "email", "address"}
_NAMES = ("first_name", "last_name")
_VIEWER = Viewer(subject="graph forget", role="system", may=None)
_LOCK = """
    SELECT first_name, last_name, username, email, address, town
    FROM customers WHERE id = $1 FOR UPDATE
"""
_REPLACE = """
    UPDATE customers SET first_name = $2, last_name = $3, username = $4, email = $5, address = $6,
        town = $7
    WHERE id = $1
"""
# Events are never changed but here, and nobody writes one meanwhile.
_OPEN_HISTORY = "ALTER TABLE events DISABLE TRIGGER events_refuse_change"
_CLOSE_HISTORY = "ALTER TABLE events ENABLE TRIGGER events_refuse_change"
# All values that the row ever had: of a change the one before and the one after.
_EVER = """
    SELECT name, text FROM events
    CROSS JOIN LATERAL jsonb_each(payload) AS change(name, value)
    CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE jsonb_build_array(value) END
    ) AS had(text)
    WHERE entity = 'Customer' AND entity_id = $1 AND jsonb_typeof(payload) = 'object'
    AND name = ANY($2::text[]) AND text IS NOT NULL
"""
_REPLACE_IN_EVENTS = """
    UPDATE events SET payload = payload || (
        SELECT coalesce(jsonb_object_agg(name, CASE jsonb_typeof(value)
            WHEN 'array' THEN jsonb_build_array(becomes, becomes) ELSE becomes END), '{}')
        FROM jsonb_each(payload) AS change(name, value)
        JOIN jsonb_each($2::jsonb) AS replaced(name, becomes) USING (name))
    WHERE entity = 'Customer' AND entity_id = $1 AND jsonb_typeof(payload) = 'object'
    RETURNING id
"""
_REPLACE_ACTOR = "UPDATE events SET actor = 'forgotten' WHERE actor = $1 RETURNING id"
_HAS = "EXISTS (SELECT FROM unnest(${}::bytea[]) AS named(text) WHERE position(text IN answer) > 0)"
_ANSWERS = f"""
    SELECT viewer, key, answer, told OR (has_first AND has_last) AS told FROM idempotency_keys
    CROSS JOIN LATERAL (SELECT {_HAS.format(1)} AS told, {_HAS.format(2)} AS has_first,
                               {_HAS.format(3)} AS has_last) AS each
    WHERE answer IS NOT NULL AND (told OR has_first OR has_last)
"""  # noqa: S608  nothing of it is a client's
_REPLACE_ANSWER = "UPDATE idempotency_keys SET answer = $3 WHERE viewer = $1 AND key = $2"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The numbers of what was replaced."""

    values: int
    events: int
    answers: int
    acts: int


async def forget(database: Database, customer: int, *, subject: str | None = None) -> Forgotten:
    """Forget a customer by key, in one transaction.

    `subject` is the issuer and the subject of the person's tokens, as in `Event.actor`: they no
    longer name who made a change.

    Raises:
        NotFound: there is no such customer.
        Unavailable: the database cannot be reached; nothing was changed.
    """
    async with transaction(database, _VIEWER) as tx:
        row = await tx.first(_LOCK, customer)
        if row is None:
            raise NotFound("Customer", to_global_id("Customer", customer))
        new = _replacements(customer)
        ever = await tx.fetch(_EVER, customer, list(new))
        old = {*row.items(), *((each["name"], each["text"]) for each in ever)}
        await tx.fetch(_REPLACE, customer, *new.values())
        await tx.fetch(_OPEN_HISTORY)
        events = await tx.fetch(_REPLACE_IN_EVENTS, customer, json.dumps(new))
        acts = await tx.fetch(_REPLACE_ACTOR, subject) if subject else []
        await tx.fetch(_CLOSE_HISTORY)
        answers = await _forget_in_answers(tx, customer, old, new)
        await tx.commit()
    return Forgotten(len(new), len(events), answers, len(acts))


def _replacements(customer: int) -> dict[str, str]:
    # Nobody else has this user name, whatever names there are.
    name = f"forgotten-{customer}-{secrets.token_hex(4)}"
    return {
        "first_name": "Forgotten",
        "last_name": "Customer",
        "username": name,
        "email": f"{name}@example.invalid",
        "address": "-",
        "town": "-",
    }


async def _forget_in_answers(
    tx: Transaction, customer: int, old: Iterable[tuple[str, str]], new: Mapping[str, str]
) -> int:
    """Replace the values in kept answers that name the customer; return how many there are.

    A first and a last name tell it together, each as a whole value. One of them alone does not
    tell whose it is, and is replaced all the same. It may be another person's: until kept answers
    expire, a repetition of that request gets the new name.
    """
    old = list(old)
    telling = [text for name, text in old if name in _TELLING and text]
    named = [orjson.dumps(text)[1:-1] for text in (to_global_id("Customer", customer), *telling)]
    names = [[orjson.dumps(text) for name, text in old if name == each] for each in _NAMES]
    all_by_old = {text: new[name] for name, text in old}
    names_by_old = {text: new[name] for name, text in old if name in _NAMES}
    rows = await tx.fetch(_ANSWERS, named, *names)
    for row in rows:
        by_old = all_by_old if row["told"] else names_by_old
        answer = orjson.dumps(_replaced(orjson.loads(row["answer"]), by_old))
        await tx.fetch(_REPLACE_ANSWER, row["viewer"], row["key"], answer)
    return len(rows)


def _replaced(value: Any, by_old: Mapping[str, str]) -> Any:
    match value:
        case str():
            return by_old.get(value, value)
        case list():
            return [_replaced(each, by_old) for each in value]
        case dict():
            return {name: _replaced(each, by_old) for name, each in value.items()}
    return value
