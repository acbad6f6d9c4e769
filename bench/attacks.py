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


def _some(depth: int, quantity: str = "gt: 1") -> str:
    inner = f"{{quantity: {{{quantity}}}}}"
    for _ in range(depth):
        inner = f"{{item: {{orderLines: {{some: {inner}}}}}}}"
    return inner


ATTACKS = (
    f"{{ customers(first: 1, orderBy: [{_SEVEN_AGGREGATES}]) {{ nodes {{ id }} }} }}",
    *(f"{{ orderLines(first: 1, where: {_some(n)}) {{ nodes {{ id }} }} }}" for n in (1, 2, 3, 5)),
    # No row is found, so that all are looked at; the planner expects as little as above.
    *(
        f"{{ orderLines(first: 1, where: {_some(n, 'gt: 100')}) {{ nodes {{ id }} }} }}"
        for n in (1, 2, 3)
    ),
    # All rows match, or none does, so that no look at children ends early.
    *(
        f"{{ customers(where: {{orders: {{{orders}: {{lineItems: {{{lines}: {{quantity: {{{test}}}"
        "}}}}}) { totalCount } }"
        for orders, lines, test in (
            ("every", "every", "gt: 0"),
            ("every", "some", "gt: 0"),
            ("none", "some", "gt: 100"),
            ("some", "none", "gt: 0"),
        )
    ),
    (
        "{ items(where: {orderLines: {every: {order: {customer: {orders: {every: {lineItems:"
        " {every: {quantity: {gt: 0}}}}}}}}}}) { totalCount } }"
    ),
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
