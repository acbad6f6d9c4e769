"""A document that exceeds a limit is refused with that limit, and at low cost."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from graph.execution.documents.document import Documents
from graph.execution.documents.limits import Limits, parse_within
from graph.execution.failures import RequestRejected
from graph.settings import Settings
from graph.store.schema import schema

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = schema._schema  # noqa: SLF001  as Execution does
SMALL = Limits(
    document_bytes=400,
    tokens=90,
    selections=12,
    depth=4,
    aliases=2,
    root_fields=3,
    directives=2,
    fragments=2,
    operations=2,
)


def refused(document: str, limits: Limits | None = None) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        Documents(SCHEMA, limits).read(document)
    return caught.value


@pytest.mark.parametrize(
    ("build", "most", "message"),
    [
        (lambda n: "{__typename}" + "#" * (n - 12), 400, "is longer than 400 bytes"),
        (lambda n: "{__typename}#" + "é" * ((n - 13) // 2), 400, "is longer than 400 bytes"),
        (lambda n: "{customers{" + "__typename " * (n - 1) + "}}", 12, "more than 12 selections"),
        (lambda n: "{customers{" + "...{__typename}" * ((n - 1) // 2) + "}}", 12, "12 selections"),
        (lambda n: "{node(id:1){" + "...on Node{" * (n - 2) + "id" + "}" * n, 12, "12 selections"),
        (lambda n: "{a(b:[" + "1 " * (n - 9) + "])}", 90, "90 tokens"),
        (lambda n: "{" + "".join(f"a{i}:__typename " for i in range(n)) + "}", 2, "2 aliases"),
        (lambda n: "{" + "__typename " * n + "}", 3, "3 root fields"),
        (lambda n: "{...F} fragment F on Query {" + "__typename " * n + "}", 3, "3 root fields"),
        (lambda n: "{__typename" + "@include(if:true)" * n + "}", 2, "2 directives"),
        (
            lambda n: (
                "{" + "".join(f"...F{i} " for i in range(n)) + "}"
                "" + "".join(f"fragment F{i} on Query{{__typename}} " for i in range(n))
            ),
            2,
            "2 fragments",
        ),
        (lambda n: "".join(f"query Q{i}{{__typename}} " for i in range(n)), 2, "2 operations"),
    ],
)
def test_up_to_its_limit_it_is_read_and_one_more_is_refused(
    build: Callable[[int], str], most: int, message: str
) -> None:
    parse_within(SMALL, build(most))

    error = refused(build(most + 2), SMALL)

    assert error.errors[0].message.startswith("The document ")
    assert message in error.errors[0].message
    assert error.code == "OPERATION_TOO_LARGE"


@pytest.mark.parametrize(
    ("document", "levels"),
    [
        ("{customers{nodes{orders{totalCount}}}}", 4),
        ("{customers{nodes{...on Customer{orders{...{totalCount}}}}}}", 4),
        ("{...F} fragment F on Query{customers{...G}} fragment G on Any{nodes{orders{id}}}", 4),
    ],
)
def test_depth_counts_fields_through_fragments(document: str, levels: int) -> None:
    parse_within(Limits(depth=levels), document)

    error = refused(document, Limits(depth=levels - 1))

    assert error.errors[0].message == f"The document nests fields deeper than {levels - 1} levels."


def test_a_fragment_that_spreads_itself_ends() -> None:
    error = refused("{...F} fragment F on Query{...G ...F} fragment G on Query{...F}")

    assert error.code == "GRAPHQL_VALIDATION_FAILED"
    assert any("Cannot spread fragment" in found.message for found in error.errors)


def test_the_introspection_query_of_explorers_is_within_the_limits() -> None:
    from graphql import get_introspection_query  # noqa: PLC0415

    document = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True
    )

    assert Documents(SCHEMA).read(document)


@pytest.mark.parametrize("inside", ["{aliases}", "queryType{{fields{{{aliases}}}}}"])
def test_aliases_in_introspection_are_limited(inside: str) -> None:
    def document(count: int) -> str:
        aliases = " ".join(f"a{n}:__typename" for n in range(count))
        return "{__schema{" + inside.format(aliases=aliases) + "}}"

    assert Documents(SCHEMA).read(document(10))
    with pytest.raises(RequestRejected, match="more than 10 aliases in introspection"):
        Documents(SCHEMA).read(document(11))


@pytest.mark.parametrize(
    "document",
    [
        "{%s: __typename}",
        '{... @defer(label: "%s") {__typename}}',
        '{... @include(if: true, label: "%s") {id}}',
    ],
    ids=["an alias", "a label", "a label that is none"],
)
def test_aliases_and_labels_have_a_maximum_length(document: str) -> None:
    with pytest.raises(RequestRejected, match="of more than 100 characters"):
        Documents(SCHEMA).read(document % ("a" * 101))


def test_compiled_variants_are_bounded_by_their_fields() -> None:
    flags = [f"v{nth}" for nth in range(6)]
    definitions = " ".join(f"${flag}: Boolean!" for flag in flags)
    few = " ".join(f"{flag}: totalCount @include(if: ${flag})" for flag in flags)
    many = " ".join(f"a{nth}: databaseId" for nth in range(90))
    kept = {}
    for name, nodes in {"small": "", "large": f"nodes {{ {many} }}"}.items():
        text = f"query ({definitions}) {{ customers {{ __typename {few} {nodes} }} }}"
        operation = Documents(SCHEMA).read(text).operation(None)
        most = 0
        for number in range(2 ** len(flags)):
            given = {flag: bool(number >> nth & 1) for nth, flag in enumerate(flags)}
            operation.compiled(operation.variables.coerced(given))
            most = max(most, len(operation._compiled))  # noqa: SLF001
        kept[name] = most

    assert kept["small"] == 32
    assert 15 < kept["large"] < 25


def test_introspection_and_suggestions_can_be_switched_off() -> None:
    introspection = refused("{__schema{queryType{name}}}", Limits(introspection=False))
    on = refused("{custmers{totalCount}}")
    off = refused("{custmers{totalCount}}", Limits(suggestions=False))

    assert "introspection" in introspection.errors[0].message.lower()
    assert "Did you mean 'customers'" in on.errors[0].message
    assert off.errors[0].message == "Cannot query field 'custmers' on type 'Query'."
    assert Documents(SCHEMA, Limits(introspection=False)).read("{__typename customers{__typename}}")


def test_the_defaults_of_settings_and_limits_agree() -> None:
    assert Limits.of(Settings()) == Limits()


COLUMNS = "id databaseId firstName lastName username email address town createdOn"
DEAR = {
    "one field": "{customers{" + " totalCount" * 990 + "}}",
    "fields that nest": "{customers{" + "nodes{orders{nodes{id customer{id}}}}" * 190 + "}}",
    "unknown fields": "{customers{" + "".join(f" x{i}" for i in range(990)) + "}}",
    "fragments, each with all": "{__typename customers{...F0}}"
    + "".join(
        f"fragment F{i} on CustomerConnection {{"
        + "".join(f"...F{j} " for j in range(i + 1, 40))
        + "__typename}"
        for i in range(40)
    ),
    "types": '{node(id:"a"){' + "...on Customer{id} ...on Item{id}" * 240 + "}}",
    "literals": "{nodes(ids:[" + '"a" ' * 990 + "]){id}}",
    "objects": "{customers(where:{and:[" + "{databaseId:{eq:1}}" * 330 + "]}){totalCount}}",
    "operations that share filters": "".join(
        f"query Q{i}({' '.join(f'$v{j}:Int' for j in range(20))}){{...F}}" for i in range(10)
    )
    + "fragment F on Query{customers(where:{or:["
    + "".join(f"{{databaseId:{{eq:$v{i % 20}}}}}" for i in range(330))
    + "]}){totalCount}}",
    "operations": "".join(f"query Q{i}($v:Int){{customers{{...F}}}}" for i in range(10))
    + "fragment F on CustomerConnection{nodes{"
    + "orders(first:$v){totalCount}" * 400
    + "}}",
    "comments": "{__typename}" + "#\n" * 49_000,
    "aliases and a fragment": "{"
    + "".join(f"a{i}:customers{{...F}}" for i in range(50))
    + f"}} fragment F on CustomerConnection {{nodes{{{COLUMNS}}}}}",
}


@pytest.mark.parametrize("document", DEAR.values(), ids=DEAR.keys())
def test_no_document_keeps_the_process_busy(document: str) -> None:
    """The aim is 100 ms; without the limits these take seconds."""
    began = time.thread_time()

    with suppress(RequestRejected):
        Documents(SCHEMA).read(document)

    assert time.thread_time() - began < 1
