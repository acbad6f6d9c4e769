"""Every type that is made from a noun's: its connection, filters, sorts, aggregates, groups.

They are members of this module, where the nouns' own types find them (`fields.derived`).
"""

from __future__ import annotations

from typing import Any

from graph.schema.aggregates import outputs_of
from graph.schema.connections import connection_of
from graph.schema.inputs import inputs_of
from graph.schema.nouns import noun_of
from graph.schema.types import NOUNS


def types_of(noun: str) -> dict[str, Any]:
    """The types that are made from a noun's, by name."""
    connection = {f"{noun}Connection": connection_of(noun, NOUNS[noun])}
    return connection | inputs_of(noun_of(noun)) | outputs_of(noun_of(noun))


for _noun in NOUNS:
    globals().update(types_of(_noun))
