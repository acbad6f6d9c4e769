"""The same requests with other texts: values written into them, or each text a new one.

`limit` gets the workload's own text with variables all the same: it has nothing to learn from one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.workloads.nested import NESTED
from bench.workloads.point import POINT
from bench.workloads.workload import Cursor, Texts, Workload, spread

if TYPE_CHECKING:
    from collections.abc import Callable

# More than any server keeps documents for.
_REQUESTS = 2000


def _literals(workload: Workload, variables: Callable[[int], dict[str, Any]]) -> Workload:
    return replace(
        workload,
        name=f"literals-{workload.name}",
        what=f"{workload.name}, with values written into the text",
        requests=_REQUESTS,
        variables=lambda number, customers: variables(spread(number, _REQUESTS, customers)),
        sent_as=Texts.LITERALS,
    )


def _new(workload: Workload) -> Workload:
    return replace(
        workload,
        name=f"new-{workload.name}",
        what=f"{workload.name}, with another text each time",
        sent_as=Texts.NEW,
    )


LITERALS = (
    _literals(POINT, lambda start: {"id": 1 + start}),
    _literals(NESTED, lambda start: {"after": Cursor(start)}),
)
NEW = (_new(POINT), _new(NESTED))
