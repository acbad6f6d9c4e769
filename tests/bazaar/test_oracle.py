"""The compiled answer is that of the standard executor, over the bazaar too."""

from __future__ import annotations

import os

import pytest

from tests.bazaar.rows import write_bazaar
from tests.bazaar.schema import schema
from tests.execution.generator import Drawn, operations
from tests.execution.oracle import PER_STORE, both_ways, for_all

EXAMPLES = int(os.environ.get("GRAPH_TEST_EXAMPLES", "600"))
FIRST_STORE = int(os.environ.get("GRAPH_TEST_SEED", "0"))
STORES = range(FIRST_STORE, FIRST_STORE + max(EXAMPLES // PER_STORE, 1))


@pytest.mark.parametrize("store", STORES, ids=lambda store: f"store {store}")
def test_the_compiled_answer_is_that_of_the_standard_executor(empty_url: str, store: int) -> None:
    with both_ways(empty_url, store, schema=schema, write=write_bazaar) as (runner, both):
        both.same_bytes, both.may_fail = False, True

        @for_all(operations(both.schema, both.known), store=store, examples=PER_STORE)
        def check(drawn: Drawn) -> None:
            runner.run(both.check(drawn))
