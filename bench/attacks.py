"""What attackers sent: operations that return little and look at much."""

from __future__ import annotations

_SEVEN_AGGREGATES = ", ".join(
    f"{{orders: {{{function}: {{{column}: DESC}}}}}}"
    for function, column in (
        ("sum", "total"),
        ("avg", "total"),
        ("min", "total"),
        ("max", "total"),
        ("max", "datePlaced"),
        ("min", "datePlaced"),
    )
)


def _some(depth: int) -> str:
    inner = "{quantity: {gt: 1}}"
    for _ in range(depth):
        inner = f"{{item: {{orderLines: {{some: {inner}}}}}}}"
    return inner


ATTACKS = (
    f"{{ customers(first: 1, orderBy: [{_SEVEN_AGGREGATES}]) {{ nodes {{ id }} }} }}",
    *(f"{{ orderLines(first: 1, where: {_some(n)}) {{ nodes {{ id }} }} }}" for n in (1, 2, 3, 5)),
    "{ customers { totalCount } orders { totalCount } orderLines { totalCount } }",
    "{ orderLines { aggregates { count sum { quantity } } } }",
    (
        "{ customers(where: {orders: {some: {lineItems: {some: {quantity: {gt: 3}}}}}})"
        " { totalCount } }"
    ),
    "{ orders(orderBy: [{total: DESC}], first: 1) { nodes { id } } }",
    (
        '{ orders { groups(by: [{datePlaced: {unit: DAY, timeZone: "Europe/Berlin"}}])'
        " { aggregates { count sum { total } } } } }"
    ),
    '{ customers(where: {lastName: {contains: "zz"}}) { totalCount } }',
)
