"""Filters, sorts, pages, aggregates and groups over random rows, compared with plain Python.

Operations are drawn by the schema's types (`tests.execution.generator`), and answered by
`tests.execution.plain` over the same rows. Both execution paths must give the same answers.
`GRAPH_TEST_LISTS` is the number of stores that are drawn for each test.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLNonNull
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.execution.generator import Drawn
from tests.execution.generator.choices import Choices
from tests.execution.generator.sorts import sort_by_key, without_doubles
from tests.execution.generator.values import Place, Values
from tests.execution.oracle import SCHEMA, both_ways
from tests.execution.plain.filters import meets
from tests.execution.plain.lists import Cut, Order, cut, groups
from tests.execution.plain.questions import (
    EDGES,
    ROOTS,
    aggregates_asked,
    aggregates_of,
    keys_asked,
    keys_of,
    known_of,
)
from tests.execution.plain.shop import COLUMNS, Shop, drawn_shop, write_shop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from random import Random

    from tests.execution.oracle import Both
    from tests.execution.plain.shop import Row

EXAMPLES = int(os.environ.get("GRAPH_TEST_LISTS", "15"))
QUESTIONS = 6  # about each store
LEFT_OUT = ("search", "history")  # what PostgreSQL finds by likeness, and what it writes by itself
NODES = "nodes { databaseId }"
PAGE = "edges { cursor node { databaseId } } pageInfo { hasNextPage hasPreviousPage }"


@dataclass
class Asking:
    """A store, what is drawn about it, and both ways to ask."""

    shop: Shop
    choices: Choices
    values: Values
    both: Both
    runner: asyncio.Runner

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """What both ways answer."""
        drawn = Drawn(text, (variables,))
        answers = [
            json.loads(self.runner.run(side.answer(drawn)).body)
            for side in (self.both.compiled, self.both.standard)
        ]
        assert answers[0] == answers[1]
        assert "errors" not in answers[0], (text, variables, answers[0])
        data: dict[str, Any] = answers[0]["data"]
        return data

    def drawn(self, type_name: str, name: str, entity: str) -> Any:
        type_: Any = SCHEMA.type_map[type_name]
        return self.values.value(GraphQLNonNull(type_), Place(name, (entity,)))

    def where(self, entity: str) -> Any:
        return self.drawn(f"{entity}Where", "where", entity) if self.choices.chance(80) else None

    def order_by(self, entity: str) -> list[Any]:
        """Of any kind; or of columns only, in mixed directions, which are read in ranges."""
        # `Order` is the order by keys where none is asked for, and orders then come by their dates.
        sizes = range(self.choices.number(int(entity == "Order"), 3))
        if self.choices.chance(50):
            names = [self.choices.one_of(list(COLUMNS[entity])[1:]) for _ in sizes]
            return [{name: self.choices.one_of(("ASC", "DESC"))} for name in names]
        return [self.drawn(f"{entity}OrderBy", "orderBy", entity) for _ in sizes]

    def grouping(self, entity: str) -> dict[str, Any]:
        keys = range(self.choices.one_of((1, 1, 2, 3)))
        by = without_doubles([self.drawn(f"{entity}GroupBy", "by", entity) for _ in keys])
        order_by = [self._sort_of_groups(entity, by) for _ in range(self.choices.number(0, 2))]
        return {
            "by": by,
            "having": self.drawn(f"{entity}Having", "h", entity)
            if self.choices.chance(40)
            else None,
            "orderBy": order_by,
            "first": self.choices.one_of((None, 0, 1, 2, 5)),
        }

    def _sort_of_groups(self, entity: str, by: list[Any]) -> Any:
        if self.choices.chance(50):
            return self.drawn(f"{entity}GroupsOrderBy", "orderBy", entity)
        direction = self.choices.one_of(("ASC", "DESC", "ASC_NULLS_FIRST", "DESC_NULLS_FIRST"))
        return {"key": sort_by_key(self.choices.one_of(by), direction)}

    def lists(
        self, entity: str, fields: str, declared: str, **variables: Any
    ) -> list[tuple[list[Row], Any]]:
        """All lists of an entity's rows, at the root and nested: their rows, and the answers.

        `fields` is what is asked, `LIST` standing for the field.
        """
        found: list[tuple[list[Row], Any]] = []
        for parent, edge in [(None, ROOTS[entity]), *EDGES.get(entity, [])]:
            asked = fields.replace("LIST", f"list: {edge}")
            rows = self.shop.in_default_order(entity)
            if parent is None:
                data = self.ask(f"query ({declared}) {{ {asked} }}", **variables)
                found.append((rows, data["list"]))
                continue
            asked = f"parents: {ROOTS[parent]}(first: 20) {{ nodes {{ {asked} }} }}"
            data = self.ask(f"query ({declared}) {{ {asked} }}", **variables)
            parents = self.shop.in_default_order(parent)
            for row, answer in zip(parents, data["parents"]["nodes"], strict=True):
                found.append((self.shop.many(parent, row, edge)[1], answer["list"]))
        return found


def shops(database_url: str) -> Callable[[Callable[[Asking], None]], None]:
    """Run a check with so many stores, the same in every run."""

    def run(check: Callable[[Asking], None]) -> None:
        with both_ways(database_url, 0) as (runner, both):

            @seed(0)
            @hypothesis_settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # to shrink what random numbers made takes forever
                suppress_health_check=list(HealthCheck),
            )
            @given(st.randoms(note_method_calls=False, use_true_random=False))
            def each(source: Random) -> None:
                choices = Choices(source)
                shop = drawn_shop(choices)
                runner.run(write_shop(both.standard.database, shop))
                values = Values(
                    known_of(shop),
                    choices,
                    careless=False,
                    without=("search", "history", "weekStart", "emptyBuckets"),
                )
                for _ in range(QUESTIONS):
                    check(Asking(shop, choices, values, both, runner))

            each()

    return run


def test_a_filter_matches_the_same_rows_as_plain_python(database_url: str) -> None:
    @shops(database_url)
    def check(asking: Asking) -> None:
        entity = asking.choices.one_of(list(ROOTS))
        where, limit = asking.where(entity), asking.choices.number(1, 6)
        variables = {"where": where, "limit": limit}
        fields = f"""LIST(where: $where, first: 100) {{ nodes {{ databaseId }} totalCount
            count(limit: $limit) {{ value precision }}
            aggregates {{ {aggregates_asked(entity)} }} }}"""
        declared = f"$where: {entity}Where, $limit: Int"

        for rows, answer in asking.lists(entity, fields, declared, **variables):
            found = [row for row in rows if meets(asking.shop, entity, row, where)]
            assert keys(answer["nodes"]) == keys(found), where
            assert answer["totalCount"] == len(found)
            assert answer["count"] == {
                "value": min(len(found), limit),
                "precision": "AT_LEAST" if len(found) > limit else "EXACT",
            }
            assert answer["aggregates"] == aggregates_of(entity, found)


def test_a_page_of_a_sorted_list_is_cut_as_plain_python_cuts_it(database_url: str) -> None:
    @shops(database_url)
    def check(asking: Asking) -> None:
        entity = asking.choices.one_of(list(ROOTS))
        where, order_by = asking.where(entity), asking.order_by(entity)
        order = Order(asking.shop, entity, order_by)
        cursors = asking.ask(
            f"""query ($o: [{entity}OrderBy!]) {{ list: {ROOTS[entity]}(orderBy: $o, first: 100) {{
                edges {{ cursor node {{ databaseId }} }} }} }}""",
            o=order_by,
        )["list"]["edges"]
        in_order = order.sorted(asking.shop.rows[entity])
        assert keys([edge["node"] for edge in cursors]) == keys(in_order), order_by

        ends = [nth for nth in range(len(cursors)) if asking.choices.chance(20)][:2]
        names = asking.choices.one_of((("after", "before"), ("before", "after")))
        size: Any = {asking.choices.one_of(("first", "last")): asking.choices.number(0, 5)}
        variables = {"where": where, "orderBy": order_by, **size} | {
            name: cursors[nth]["cursor"] for name, nth in zip(names, ends, strict=False)
        }
        given_rows: Any = {name: in_order[nth] for name, nth in zip(names, ends, strict=False)}
        what = asking.choices.one_of((PAGE, NODES))  # of a list alone, a page is read otherwise
        fields = f"""LIST(where: $where, orderBy: $orderBy, first: $first, last: $last,
            after: $after, before: $before) {{ {what} }}"""
        declared = f"""$where: {entity}Where, $orderBy: [{entity}OrderBy!], $first: Int, $last: Int,
            $after: String, $before: String"""

        for rows, answer in asking.lists(entity, fields, declared, **variables):
            found = [row for row in rows if meets(asking.shop, entity, row, where)]
            expected = cut(found, order, **size, **given_rows)
            if what is PAGE:
                assert cut_of(answer) == expected, variables
            else:
                assert keys(answer["nodes"]) == expected.ids, variables


def test_an_offset_leaves_out_so_many(database_url: str) -> None:
    @shops(database_url)
    def check(asking: Asking) -> None:
        entity = asking.choices.one_of(list(ROOTS))
        where, order_by = asking.where(entity), asking.order_by(entity)
        page: Any = {"first": asking.choices.number(0, 5), "offset": asking.choices.number(0, 8)}
        data = asking.ask(
            f"""query ($where: {entity}Where, $o: [{entity}OrderBy!], $first: Int, $offset: Int) {{
                list: {ROOTS[entity]}(where: $where, orderBy: $o, first: $first, offset: $offset) {{
                    {PAGE} }} }}""",
            where=where,
            o=order_by,
            **page,
        )

        rows = [row for row in asking.shop.rows[entity] if meets(asking.shop, entity, row, where)]
        order = Order(asking.shop, entity, order_by)
        assert cut_of(data["list"]) == cut(rows, order, **page)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
def test_a_walk_meets_every_row_once_and_in_order(database_url: str, backwards: bool) -> None:
    size_of, beyond = ("last", "before") if backwards else ("first", "after")
    goes_on, began = ("hasNextPage", "hasPreviousPage")[:: -1 if backwards else 1]

    @shops(database_url)
    def check(asking: Asking) -> None:
        entity = asking.choices.one_of(list(ROOTS))
        where, order_by = asking.where(entity), asking.order_by(entity)
        rows = [row for row in asking.shop.rows[entity] if meets(asking.shop, entity, row, where)]
        text = f"""query (
        $where: {entity}Where, $o: [{entity}OrderBy!], $size: Int, $from: String
    ) {{
            list: {ROOTS[entity]}(where: $where, orderBy: $o, {size_of}: $size, {beyond}: $from) {{
                {PAGE} }} }}"""
        met: list[int] = []
        cursor = None
        for _ in range(len(rows) + 1):
            size = asking.choices.number(1, 4)
            page = asking.ask(text, where=where, o=order_by, size=size, **{"from": cursor})["list"]
            ids = cut_of(page).ids
            met = ids + met if backwards else met + ids
            assert page["pageInfo"][began] is (cursor is not None)
            assert page["pageInfo"][goes_on] is (len(met) < len(rows))
            if not page["pageInfo"][goes_on]:
                break
            cursor = page["edges"][0 if backwards else -1]["cursor"]

        assert met == keys(Order(asking.shop, entity, order_by).sorted(rows)), order_by


def test_groups_are_those_of_plain_python(database_url: str) -> None:
    @shops(database_url)
    def check(asking: Asking) -> None:
        entity = asking.choices.one_of(list(ROOTS))
        where, grouping = asking.where(entity), asking.grouping(entity)
        variables = {"where": where, **grouping}
        fields = f"""LIST(where: $where) {{
            groups(by: $by, having: $having, orderBy: $orderBy, first: $first) {{
                key {{ {keys_asked(entity)} }} aggregates {{ {aggregates_asked(entity)} }} }} }}"""
        declared = f"""$where: {entity}Where, $by: [{entity}GroupBy!]!, $having: {entity}Having,
            $orderBy: [{entity}GroupsOrderBy!], $first: Int"""

        for rows, answer in asking.lists(entity, fields, declared, **variables):
            found = [row for row in rows if meets(asking.shop, entity, row, where)]
            expected = groups(asking.shop, entity, found, grouping)
            assert answer["groups"] == [
                {"key": keys_of(entity, each), "aggregates": aggregates_of(entity, each.rows)}
                for each in expected
            ], grouping


def keys(rows: list[Row]) -> list[int]:
    return [int(row["databaseId"]) for row in rows]


def cut_of(page: dict[str, Any]) -> Cut:
    """The page that an answer shows."""
    ids = keys([edge["node"] for edge in page["edges"]])
    return Cut(ids, page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"])
