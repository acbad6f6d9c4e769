"""One kind of request, and the statement that answers it best."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# The hand-written statements, and those with version, history and stock.
LIMIT = "limit"
LIMIT_FEATURES = "limit-features"
# `graph` with a Python resolver, for the workloads that compare it with and without.
EXTENDED = "graph-extended"
# `graph` with replicas, which take part in what reads.
REPLICAS = "graph-replicas"
_OF_EXTENDED = {"list", "resolver"}

# Has no factor in common with the numbers of requests below.
_STRIDE = 37
# Stands in a text where the load writes a number that no text had before.
NUMBER = "0123456789"
_NAME = re.compile(r"^query \w+")
_DEFINITIONS = re.compile(r"(?<=\w)\(\$.*?\)(?= \{)")
_VARIABLE = re.compile(r"\$(\w+)")


class Texts(StrEnum):
    """How requests are written."""

    SAME = "same"
    LITERALS = "literals"
    NEW = "new"


@dataclass(frozen=True)
class Cursor:
    """A place in the list of customers: each server has an encoding of its own for it."""

    customer_id: int


@dataclass(frozen=True)
class Workload:
    """Requests that differ in their values alone; all servers get the same, in one order."""

    name: str
    what: str
    text: str
    # How many different requests there are; after the last one the first comes again.
    requests: int
    # (number of the request, number of customers in the store) -> its variables.
    variables: Callable[[int, int], dict[str, Any]]
    # The hand-written statement for `limit`, and its parameters from the variables.
    sql: str = field(repr=False)
    parameters: Callable[[dict[str, Any]], tuple[Any, ...]] = field(repr=False)
    # The same with all that the store does at a change: for `limit-features`. Reads have none.
    sql_with_features: str | None = field(default=None, repr=False)
    # For a server whose schema has other names: its name, and a text whose aliases mend that.
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)

    # Servers that do not take part, and why.
    without: Mapping[str, str] = field(default_factory=dict, repr=False)
    sent_as: Texts = Texts.SAME

    def takes_part(self, server: str) -> bool:
        if server == LIMIT_FEATURES:
            return self.sql_with_features is not None
        if server == EXTENDED:
            return self.name in _OF_EXTENDED
        if server == REPLICAS and self.changes_rows:
            return False
        return server not in self.without

    @property
    def changes_rows(self) -> bool:
        return self.text.lstrip().startswith("mutation")

    def request_for(self, server: str, variables: dict[str, Any], sent_as: Texts) -> dict[str, Any]:
        """The body of a request, with these variables, for a server."""
        text = self.texts.get(server, self.text)
        if sent_as is Texts.LITERALS:
            return {"query": _with_literals(text, variables)}
        if sent_as is Texts.NEW:
            text = _NAME.sub(rf"\g<0>_{NUMBER}", text)
        return {"query": text, "variables": variables}


def _with_literals(text: str, variables: dict[str, Any]) -> str:
    text = _DEFINITIONS.sub("", text)
    return _VARIABLE.sub(lambda found: json.dumps(variables[found[1]]), text)


def spread(number: int, requests: int, rows: int) -> int:
    """Where request `number` begins: all starts lie evenly over the rows, neighbours far apart."""
    return number * _STRIDE % requests * rows // requests


def key_of(cursor: str) -> int:
    """The id in a cursor of `graph`: base64 of `["Customer:id",17]`."""
    key: int = json.loads(b64decode(cursor))[1]
    return key


def global_id(entity: str, key: int) -> str:
    """An id of `graph`: base64 of `Customer:17`."""
    return b64encode(f"{entity}:{key}".encode()).decode()


def key_in(id_: str) -> int:
    """The key in an id of `graph`."""
    return int(b64decode(id_).split(b":")[1])
