"""The page of `list`, and a value of each customer that a resolver of the server computes."""

from __future__ import annotations

import re
from dataclasses import replace

from bench.workloads.customer_list import LIST
from bench.workloads.workload import EXTENDED

_LAST = re.compile(r"( +)createdOn\n")
_LAST_SQL = "json_scalar(created_on)"
_INITIALS = "json_scalar(left(first_name, 1)||left(last_name, 1))"


def _with_initials(text: str) -> str:
    return _LAST.sub(r"\g<0>\1initials\n", text)


RESOLVER = replace(
    LIST,
    name="resolver",
    what="100 customers, 8 columns and one resolver in Python or JavaScript each",
    text=_with_initials(LIST.text),
    texts={"strawchemy": _with_initials(LIST.texts["strawchemy"])},
    sql=LIST.sql.replace(_LAST_SQL, f"{_LAST_SQL}||',\"initials\":'||{_INITIALS}"),
    without={
        "postgraphile": "it computes values in SQL",
        "graph": f"the store has no resolver; see {EXTENDED}",
        "graph-resolvers": f"the store has no resolver; see {EXTENDED}",
    },
)
