"""The limits that the documentation lists: one more than the most is refused, the most is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.docs.pages import ROOT, rows
from tests.rows import fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.database.engine import Database
    from tests.conftest import Client

# A document and its variables.
Asked: TypeAlias = tuple[str, dict[str, Any]]

LIMITS = [
    (what, int(most.replace(",", "")), error.strip("`"))
    for what, most, error in rows(ROOT / "docs" / "api.md", "Limits")
]


def page(arguments: str) -> Asked:
    return f"{{ customers({arguments}) {{ nodes {{ id }} }} }}", {}


def filtered(where: dict[str, Any]) -> Asked:
    text = "query ($where: CustomerWhere!) { customers(where: $where) { nodes { id } } }"
    return text, {"where": where}


def names(number: int) -> Asked:
    """`or` is one; each of its entries, with a column and its condition, is three."""
    entries, rest = divmod(number - 1, 3)
    more: list[dict[str, Any]] = [{}, {"search": "x"}, {"town": {"eq": "x"}}]
    return filtered({"or": [{"town": {"eq": "x"}}] * entries} | more[rest])


def levels(number: int) -> Asked:
    where: dict[str, Any] = {"town": {"eq": "x"}}
    for _ in range(number):
        where = {"and": [where]}
    return filtered(where)


def keys(number: int) -> Asked:
    columns = "FIRST_NAME LAST_NAME USERNAME EMAIL ADDRESS TOWN VERSION CREATED_ON UPDATED_ON"
    by = ", ".join(f"{{column: {column}}}" for column in columns.split()[:number])
    return f"{{ customers {{ groups(by: [{by}], first: 1) {{ key {{ town }} }} }} }}", {}


def importing(number: int) -> Asked:
    text = """mutation ($rows: [CreateItemInput!]!) {
        importItems(input: {rows: $rows}, dryRun: true) { __typename } }"""
    return text, {"rows": [{"name": "x", "costPrice": "1", "sellingPrice": "2"}] * number}


def placing(*, lines: int = 1, pieces: int = 1) -> Asked:
    text = """mutation ($input: PlaceOrderInput!) {
        placeOrder(input: $input, dryRun: true) { __typename } }"""
    line = {"itemId": "SXRlbTox", "quantity": pieces}
    return text, {"input": {"customerId": "Q3VzdG9tZXI6MQ==", "lines": [line] * lines}}


def keyed(number: int) -> Asked:
    text = """mutation ($key: String!) {
        advanceOrder(input: {id: "T3JkZXI6MQ==", expectedVersion: {any: true}, action: PAY})
            @idempotent(key: $key) { __typename } }"""
    return text, {"key": "k" * number}


def variables(number: int) -> Asked:
    declared = " ".join(f"$v{nth}: ID" for nth in range(number))
    return f"query ({declared}) {{ __typename }}", {}


def fields(number: int) -> Asked:
    """Lists of a fragment's 23 fields, which makes 25 each; the rest stands at the root."""
    lists, rest = divmod(number, 25)
    asked = " ".join(f"a{nth}: items(first: 1) {{ nodes {{ ...Many }} }}" for nth in range(lists))
    more = " ".join(f"t{nth}: __typename" for nth in range(rest))
    many = " ".join(f"f{nth}: id" for nth in range(23))
    return f"{{ {asked} {more} }} fragment Many on Item {{ {many} }}", {}


# How much -> what asks for just so much.
ASKED: dict[str, Callable[[int], Asked]] = {
    "elements on a page": lambda most: page(f"first: {most}"),
    "groups on a page": lambda most: (
        f"{{ items {{ groups(by: {{column: NAME}}, first: {most}) {{ key {{ name }} }} }} }}",
        {},
    ),
    "ids in `nodes`": lambda most: (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        {"ids": ["SXRlbTox"] * most},
    ),
    "rows that `offset` skips": lambda most: page(f"offset: {most}"),
    "the limit of a `count`": lambda most: (
        f"{{ items {{ count(limit: {most}) {{ value }} }} }}",
        {},
    ),
    "names and entries of lists in one filter": names,
    "levels of `and` and `or` in one filter": levels,
    "values in one `in` or `notIn`": lambda most: filtered({"town": {"in": ["x"] * most}}),
    "characters in a search": lambda most: filtered({"search": "x" * most}),
    "sorts in one `orderBy`": lambda most: page(f"orderBy: [{'{town: ASC} ' * most}]"),
    "keys in one `by`": keys,
    "rows of one import mutation": importing,
    "lines of one order": lambda most: placing(lines=most),
    "pieces of one line": lambda most: placing(pieces=most),
    "characters of an idempotency key": keyed,
    "variables of one document": variables,
    "values written out in one document": lambda most: (
        f"{{ nodes(ids: [{'1 ' * (most - 1)}]) {{ id }} }}",
        {},
    ),
    "members of the input objects written out in one document": lambda most: (
        f"{{ customers(where: {{{'search: 1 ' * most}}}) {{ totalCount }} }}",
        {},
    ),
    # The variables and the filters are objects.
    "values in the variables of a query; an object counts 3 more": lambda most: (
        "query ($where: CustomerWhere) { customers(where: $where) { totalCount } }",
        {"where": {"databaseId": {"in": list(range(most - 12))}}},
    ),
    "values in the variables of a mutation; an object counts 3 more": lambda most: (
        "mutation ($input: ImportItemsInput!) { importItems(input: $input) { __typename } }",
        {"input": {"unknown": [0] * (most - 8)}},
    ),
    "characters of an alias or a label": lambda most: (f"{{ {'a' * most}: __typename }}", {}),
    "aliases in introspection": lambda most: (
        f"{{ __schema {{ {' '.join(f'a{nth}: __typename' for nth in range(most))} }} }}",
        {},
    ),
    "fields of one operation, all fragments spread out": fields,
}


def test_every_limit_of_the_table_is_tried() -> None:
    assert [what for what, _, _ in LIMITS] == list(ASKED)


@pytest.mark.parametrize(("what", "most", "error"), LIMITS, ids=[each[0] for each in LIMITS])
async def test_a_limit_is_where_the_table_says(
    client: Client, database: Database, what: str, most: int, error: str
) -> None:
    await fill(database, customers=1)
    fits, exceeds = ASKED[what](most), ASKED[what](most + 1)

    assert outcome_of(await client.answer(fits[0], **fits[1])) != error
    assert outcome_of(await client.answer(exceeds[0], **exceeds[1])) == error


def outcome_of(answer: dict[str, Any]) -> str:
    """The code of the first error, or the type of a mutation's answer."""
    if "errors" in answer:
        code: str = answer["errors"][0]["extensions"]["code"]
        return code
    (first,) = list(answer["data"].values())[:1]
    return first.get("__typename", "") if isinstance(first, dict) else ""
