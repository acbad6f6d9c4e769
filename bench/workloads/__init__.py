"""What is asked of the servers: one file a workload, and this list of them.

To add one, write its file and name it here. A peer whose schema has other names gets a text of its
own in `texts`, with aliases that give its answer the shape of all the others. How texts change from
request to request is in `texts.py`.
"""

from __future__ import annotations

from bench.workloads.aggregate import AGGREGATE
from bench.workloads.customer_list import LIST
from bench.workloads.filtered_page import COUNTED_PAGE, PAGE
from bench.workloads.nested import NESTED
from bench.workloads.place_order import HOT, PLACE
from bench.workloads.point import POINT
from bench.workloads.resolver import RESOLVER
from bench.workloads.texts import LITERALS, NEW
from bench.workloads.update_customer import UPDATE
from bench.workloads.wide import WIDE
from bench.workloads.workload import (
    EXTENDED,
    LIMIT,
    LIMIT_FEATURES,
    NUMBER,
    REPLICAS,
    Cursor,
    Texts,
    Workload,
)

__all__ = [
    "EXTENDED",
    "LIMIT",
    "LIMIT_FEATURES",
    "NUMBER",
    "REPLICAS",
    "WORKLOADS",
    "Cursor",
    "Texts",
    "Workload",
]

_READS = (POINT, LIST, RESOLVER, NESTED, WIDE, PAGE, COUNTED_PAGE, AGGREGATE, *LITERALS, *NEW)
WORKLOADS = {workload.name: workload for workload in (*_READS, UPDATE, PLACE, HOT)}
