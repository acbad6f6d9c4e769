"""What a change of the schema means for a document, beside a schema and documents by hand."""

from __future__ import annotations

import pytest
from graphql import build_schema

from graph.execution.documents.impact import Comparison

OLD = """
type Query {
  items(first: Int, where: Where): [Item!]!
  found: [Found!]!
  node(id: ID!): Node
}
interface Node { id: ID! }
type Item implements Node { id: ID! name: String! size: Size! }
type Order implements Node { id: ID! total: Int! }
union Found = Item | Order
enum Size { S M }
input Where { name: String size: Size and: [Where!] }
"""


@pytest.mark.parametrize(
    ("removed", "added", "document", "breaking", "dangerous"),
    [
        # What it names.
        ("name: String! ", "", "{ items { name } }", "Cannot query field 'name'", ""),
        ("name: String! ", "", "{ items { id } }", "", ""),
        ("name: String! ", "name: String ", "{ items { name } }", "from String! to String", ""),
        ("name: String! ", "name: String ", "{ items { id } }", "", ""),
        ("total: Int!", "total: Float!", "{ found { ... on Order { total } } }", "Order.total", ""),
        ("total: Int!", "total: Float!", "{ node(id: 1) { id } }", "", ""),
        ("first: Int,", "", "{ items(first: 1) { id } }", "Unknown argument 'first'", ""),
        ("first: Int,", "", "{ items { id } }", "", ""),
        (
            "first: Int,",
            "first: Int!,",
            "{ items { id } }",
            "of type 'Int!' is required",
            "",
        ),
        # What it may meet in answers.
        ("S M", "S M L", "{ items { size } }", "", "Size.L was added"),
        ("S M", "S M L", "{ items { name } }", "", ""),
        ("S M", "S", "{ items { size } }", "Size.M was removed", ""),
        (
            "Item | Order",
            "Item | Order | Query",
            "{ found { __typename } }",
            "",
            "union type Found",
        ),
        ("Item | Order", "Item", "{ found { __typename } }", "from union type Found", ""),
        # What its variables may hold.
        ("S M", "S", "query ($w: Where) { items(where: $w) { id } }", "Size.M was removed", ""),
        ("S M", "S M L", "query ($w: Where) { items(where: $w) { id } }", "", ""),
        ("Where {", "Where { x: Int", "query ($w: Where) { items(where: $w) { id } }", "", ""),
        (
            "Where {",
            "Where { x: Int!",
            "query ($w: Where) { items(where: $w) { id } }",
            "A required field Where.x was added",
            "",
        ),
        ("Where {", "Where { x: Int!", "{ items { id } }", "", ""),
        # Other types of the same name as the new type of a field.
        ("total: Int!", "total: Size!", "{ items { size } }", "", ""),
    ],
)
def test_only_what_a_document_uses_concerns_it(
    removed: str, added: str, document: str, breaking: str, dangerous: str
) -> None:
    assert OLD.count(removed) == 1
    comparison = Comparison(build_schema(OLD), build_schema(OLD.replace(removed, added)))

    impact = comparison.impact("id", document)

    for found, expected in ((impact.breaking, breaking), (impact.dangerous, dangerous)):
        assert len(found) == bool(expected), found
        assert expected in "".join(found)


def test_a_document_that_was_invalid_is_not_compared() -> None:
    schema = build_schema(OLD)

    impact = Comparison(schema, schema).impact("id", "{ lost }")

    assert impact.was_invalid
    assert (impact.name, impact.breaking) == ("id", ())


def test_an_impact_names_the_operations_of_its_document() -> None:
    schema = build_schema(OLD)

    impact = Comparison(schema, schema).impact(
        "id", "query A { found { __typename } } query B { found { __typename } }"
    )

    assert impact.name == "query A, query B"
