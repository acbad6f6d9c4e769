"""Documents that are all different: in their fields, filters, sorts and depth, not in names alone.

There are some 10^12 structures; each number always gives the same one.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CUSTOMER = (
    *("id", "databaseId", "firstName", "lastName", "username", "email", "address", "town"),
    *("createdOn", "updatedOn", "version"),
)
_ORDER = ("id", "databaseId", "datePlaced", "status", "version", "total")
_LINE = ("id", "databaseId", "quantity", "unitPrice", "itemName", "subtotal")
_ITEM = ("id", "databaseId", "name", "costPrice", "sellingPrice")
_OPERATORS = ("lt", "lte", "gt", "gte", "startsWith", "contains", "endsWith", "ne")
_SORTED = ("databaseId", "lastName", "town", "createdOn")


def document(number: int) -> str:
    """A page of two customers, or one customer, with some of what belongs to them.

    Some have a variable, and some a fragment.
    """
    random = Random(number)  # noqa: S311  nothing is secret
    name = f"d{number}"
    customer = " ".join(_some(random, _CUSTOMER))
    if random.random() < 1 / 2:
        customer += f" orders(first: 2) {{ nodes {{ {_order(random)} }} }}"
    fragment = ""
    if random.random() < 1 / 3:
        customer, fragment = "...Parts", f" fragment Parts on Customer {{ {customer} }}"
    if random.random() < 1 / 3:
        key = random.randrange(1, 100)
        return f"query {name} {{ customer(by: {{databaseId: {key}}}) {{ {customer} }} }}{fragment}"
    filters = ", ".join(
        f'{name}: {{{random.choice(_OPERATORS)}: "{chr(97 + random.randrange(26))}"}}'
        for name in _some(random, _CUSTOMER[2:8])
    )
    sort = f"{{{random.choice(_SORTED)}: {random.choice(('ASC', 'DESC'))}}}"
    first, variables = random.choice((("2", ""), ("$first", "($first: Int = 2)")))
    arguments = f"first: {first}, where: {{{filters}}}, orderBy: [{sort}]"
    selected = f"customers({arguments}) {{ nodes {{ {customer} }} }}"
    return f"query {name}{variables} {{ {selected} }}{fragment}"


def _order(random: Random) -> str:
    order = " ".join(_some(random, _ORDER))
    if random.random() < 1 / 2:
        line = " ".join(_some(random, _LINE))
        if random.random() < 1 / 2:
            line += f" item {{ {' '.join(_some(random, _ITEM))} }}"
        order += f" lineItems(first: 2) {{ nodes {{ {line} }} }}"
    return order


def _some(random: Random, names: Sequence[str]) -> list[str]:
    """One to all of the names, in any order."""
    return random.sample(names, random.randrange(1, len(names) + 1))
