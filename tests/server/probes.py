"""Hostile requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any


@dataclass
class Probe:
    """What is sent, and the statuses and codes that may come back."""

    body: bytes
    statuses: frozenset[int] = frozenset({200, 400})
    content_type: str = "application/json"
    method: str = "POST"
    query: str = ""
    accept: str = "application/json"


def document(text: str, **variables: Any) -> Probe:
    return Probe(json.dumps({"query": text, "variables": variables}).encode())


def parts(text: str) -> Probe:
    return replace(document(text), accept="application/json, multipart/mixed")


def raw(body: bytes, *statuses: int, **more: Any) -> Probe:
    return Probe(body, frozenset(statuses or {400}), **more)


def chained(count: int, inner: str) -> str:
    chain = "".join(
        f"fragment F{n} on Customer {{ {inner.replace('NEXT', f'...F{n + 1}')} }} "
        for n in range(count)
    )
    return f"{{customers{{nodes{{...F0}}}}}} {chain} fragment F{count} on Customer {{id}}"


DOUBLED = "a: orders {nodes{customer{NEXT}}} b: orders {nodes{customer{NEXT}}}"
LEVELS = "orders(first:100){nodes{customer{"
WHERE = "query ($where: CustomerWhere) { customers(where: $where) { totalCount } }"
INTS = "query ($n: Int!) { customers(first: $n) { totalCount } }"

MONEY = "query($p:Decimal){items(where:{sellingPrice:{eq:$p}}){totalCount}}"
MOMENT = "query($t:DateTime){orders(where:{datePlaced:{eq:$t}}){totalCount}}"
ZONE = """query($z:String!){
  orders{groups(by:[{datePlaced:{unit:DAY timeZone:$z}}]){aggregates{count}}}
}"""


def nested_filter(depth: int) -> dict[str, Any]:
    filter_: dict[str, Any] = {"databaseId": {"eq": 1}}
    for _ in range(depth):
        filter_ = {"and": [filter_]}
    return filter_


FILTER = "query ($where: CustomerWhere) { customers(where: $where) { totalCount } }"
ROWS = """mutation ($rows: [CreateItemInput!]!) {
  importItems(input: {rows: $rows}) { __typename } }"""

REFUSED: dict[str, Probe] = {
    "1,000 unknown fields of an input": document(
        "{customers(where:{" + "".join(f"u{n}:1 " for n in range(1_000)) + "}){totalCount}}"
    ),
    "10 times 50 unknown fields of an input": document(
        "{"
        + "".join(
            f"a{n}:customers(where:{{" + "".join(f"u{m}:1 " for m in range(50)) + "}){totalCount} "
            for n in range(10)
        )
        + "}"
    ),
    "10,000 unknown fields in a variable": document(
        FILTER, where={f"u{n}": {"a": 1} for n in range(10_000)}
    ),
    "160,000 empty conditions": document(FILTER, where={"and": [{}] * 160_000}),
    "1,400 empty conditions": document(FILTER, where={"and": [{}] * 1_400}),
    "20,000 sorts": document(
        "query ($by: [CustomerOrderBy!]) { customers(orderBy: $by) { totalCount } }",
        by=[{"firstName": "ASC"}] * 20_000,
    ),
    "30,000 rows of nothing": document(ROWS, rows=[{"zz": n} for n in range(30_000)]),
    "an object for a number": document(
        "query ($n: Int!) { customers(first: $n) { totalCount } }",
        n={f"k{n}": n for n in range(30_000)},
    ),
    "90,000 letters for a number": document(
        '{customers(first:"' + "a" * 90_000 + '"){totalCount}}'
    ),
    "nested 60": document("{customers{nodes{" + LEVELS * 30 + "id" + "}}}" * 30 + "}}"),
    "nested 10,000": document("{a" * 10_000),
    "nested lists": document("{nodes(ids:" + "[" * 5_000 + "]" * 5_000 + "){id}}"),
    "nested objects": document(
        "{customers(where:" + "{and:[" * 500 + "]}" * 500 + "){totalCount}}"
    ),
    "nested types": document("query($a:" + "[" * 4_000 + "Int" + "]" * 4_000 + "){__typename}"),
    "10,000 aliases": document("{" + "".join(f"a{n}:__typename " for n in range(10_000)) + "}"),
    "aliases of expensive fields": document(
        "{" + "".join(f"a{n}:customers(first:100){{nodes{{id}}}}" for n in range(101)) + "}"
    ),
    "an alias of 10,000 letters": document("{" + "a" * 10_000 + ":__typename}"),
    "one field 10,000 times": document("{customers{" + "totalCount " * 10_000 + "}}"),
    "one field 990 times": document("{customers{" + "totalCount " * 990 + "}}"),
    "overlapping fields": document("{customers{" + "nodes{orders{nodes{id}}}" * 240 + "}}"),
    "circular fragments": document("{...A} fragment A on Query{...B} fragment B on Query{...A}"),
    "a fragment of itself": document("{...A} fragment A on Query{a:__typename ...A}"),
    "doubling fragments": document(chained(30, DOUBLED)),
    "doubling fragments, shallow": document(
        chained(5, DOUBLED.replace("orders", "orders(first:100)"))
    ),
    "fragments spread by all": document(
        "{...F0}"
        + "".join(
            f"fragment F{n} on Query{{{' '.join(f'...F{m}' for m in range(n + 1, 60))} a:id}}"
            for n in range(60)
        )
    ),
    "10,000 directives": document("{__typename" + " @include(if:true)" * 10_000 + "}"),
    "unknown directives": document("{__typename" + "".join(f" @d{n}" for n in range(60)) + "}"),
    "5,001 tokens": document("{a(b:[" + "1 " * 5_000 + "])}"),
    "100 KB of spaces and more": document("{__typename}" + " " * 100_000),
    "comments": document("#\n" * 60_000 + "{__typename}"),
    "introspection, deep": document(
        "{__schema{types" + "{fields{type" * 9 + "{name" + "}}" * 9 + "}}}"
    ),
    "introspection, often": document(
        "{" + "".join(f"a{n}:__schema{{types{{name fields{{name}}}}}}" for n in range(60)) + "}"
    ),
    "expensive": document(
        "{customers(first:100){nodes{orders(first:100){nodes{lineItems(first:100){nodes{id}}}}}}}"
    ),
    "many operations": document("".join(f"query Q{n}{{__typename}}" for n in range(1_000))),
    "no operation": document("fragment F on Query{__typename}"),
    "a schema": document("type Query { a: Int }"),
    "a subscription": document("subscription{a}"),
    "a mutation": document("mutation{a}"),
    "10,000 variables": document(
        "query(" + "".join(f"$v{n}:Int " for n in range(10_000)) + "){__typename}"
    ),
    "a list of 10,000 ids": document("query($i:[ID!]!){nodes(ids:$i){id}}", i=["x"] * 10_000),
    "a list of 10,000 values": document(WHERE, where={"databaseId": {"in": list(range(10_000))}}),
    "a deep filter": document(WHERE, where=nested_filter(100)),
    "a wide filter": document(
        WHERE, where={"or": [{"databaseId": {"eq": n}} for n in range(3_000)]}
    ),
    "page of a million": document("{customers(first:1000000){nodes{id}}}"),
    "page of minus one": document("{customers(first:-1){nodes{id}}}"),
    "offset of a billion": document("{customers(offset:1000000000){nodes{id}}}"),
    "a cursor that is none": document('{customers(after:"AAAA"){nodes{id}}}'),
    "a long cursor": document('{customers(after:"' + "A" * 90_000 + '"){nodes{id}}}'),
    "an id that is none": document('{node(id:"!"){id}}'),
    "NUL in a variable": document(
        "query($u:String!){customer(by:{username:$u}){id}}", u="a\N{NULL}b"
    ),
    "NUL in a document": document("{__typename}\N{NULL}"),
    "an int beyond 32 bits": document(INTS, n=2**31),
    "an int of 4,000 digits": document("{customer(by:{databaseId:" + "9" * 4_000 + "}){id}}"),
    "a float for an int": document(INTS, n=1.5),
    "a string for an int": document(INTS, n="1"),
    "a list for an int": document(INTS, n=[1]),
    "money that is none": document(MONEY, p="NaN"),
    "a moment that is none": document(MOMENT, t="99999-99-99"),
    "no body": raw(b""),
    "a JSON text cut off": raw(b'{"query":"{__type'),
    "nested JSON": raw(b"[" * 100_000),
    "nested JSON variables": raw(
        b'{"query":"{a}","variables":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_001
    ),
    "NaN": raw(b'{"query":"{__typename}","variables":{"a":NaN}}'),
    "infinity": raw(b'{"query":"{__typename}","variables":{"a":-Infinity}}'),
    "malformed UTF-8": raw(b'{"query":"{__typename \xc3\x28}"}'),
    "half a surrogate pair": raw(b'{"query":"{__typename \\ud800}"}'),
    "UTF-16": raw('{"query":"{__typename}"}'.encode("utf-16")),
    "a number": raw(b"1"),
    "a string": raw(b'"{__typename}"'),
    "a query that is an object": raw(b'{"query":{"a":1}}'),
    "a batch": raw(json.dumps([{"query": "{__typename}"}] * 500).encode()),
    "2 MB": raw(b'{"query":"' + b"x" * 2_000_000 + b'"}', 413),
    "variables of 500 KB": raw(
        json.dumps({"query": "{__typename}", "variables": {"a": "x" * 500_000}}).encode(), 413
    ),
    "text/plain": raw(b'{"query":"{__typename}"}', 415, content_type="text/plain"),
    "a form": raw(b"query={__typename}", 415, content_type="application/x-www-form-urlencoded"),
    "multipart": raw(b"--x--", 415, content_type="multipart/form-data; boundary=x"),
    "application/graphql": raw(b"{__typename}", 415, content_type="application/graphql"),
    "UTF-7": raw(b'{"query":"{__typename}"}', 415, content_type="application/json; charset=utf-7"),
    "PUT": raw(b"{}", 405, method="PUT"),
    "DELETE": raw(b"", 405, method="DELETE"),
    "PATCH": raw(b"", 405, method="PATCH"),
    "TRACE": raw(b"", 405, method="TRACE"),
    "a method of their own": raw(b"", 400, 405, method="PROPFIND"),
    "GET without a query": raw(b"", method="GET"),
    "GET of a mutation": raw(b"", 400, 200, method="GET", query="query=mutation{a}"),
    "GET of malformed escapes": raw(b"", 200, 400, method="GET", query="query=%ff%fe"),
    "GET of variables that are none": raw(b"", method="GET", query="query={a}&variables=x"),
    "GET of extensions that are none": raw(b"", method="GET", query="query={a}&extensions=[]"),
    "a hash that is none": raw(
        b'{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"../../etc"}}}', 200, 400
    ),
    "a hash of another document": raw(
        b'{"query":"{__typename}","extensions":{"persistedQuery":'
        b'{"version":1,"sha256Hash":"%b"}}}' % (b"0" * 64),
        200,
        400,
    ),
    "a version of hashes to come": raw(
        b'{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"%b"}}}' % (b"0" * 64)
    ),
    "a document by a long name": raw(b'{"documentId":"%b"}' % (b"x" * 900_000), 200, 400),
    "a document by a path": raw(b'{"documentId":"../../../etc/passwd"}', 200, 400),
    "a query of spaces": raw(b'{"query":"   "}'),
    "no query": raw(b'{"variables":{}}'),
    "variables in a list": raw(b'{"query":"{__typename}","variables":[1]}'),
    "an operation named by a number": raw(b'{"query":"{__typename}","operationName":1}'),
    "an operation that is not there": raw(
        b'{"query":"{__typename}","operationName":"A"}', 200, 400
    ),
    "two operations and no name": document("query A{__typename} query B{__typename}"),
    "two operations of one name": document("query A{__typename} query A{__typename}"),
    "JSON after a byte order mark": raw(b'\xef\xbb\xbf{"query":"{__typename}"}'),
    "JSON and more": raw(b'{"query":"{__typename}"}{}'),
    "money of a billion digits": document(MONEY, p="1e999999999"),
    "money of a hundred thousand digits": document(MONEY, p="9" * 100_000),
    "money that is infinite": document(MONEY, p="Infinity"),
    "a number for money": document(MONEY, p=1.1),
    "a year before all others": document(MOMENT, t="0000-01-01T00:00:00Z"),
    "a moment without a zone": document(MOMENT, t="2026-01-01T00:00:00"),
    "a zone of no land": document(ZONE, z="Middle/Earth"),
    "a zone that is a path": document(ZONE, z="../../../../etc/passwd"),
    "an enum that is none": document("{customers(orderBy:[{lastName:SIDEWAYS}]){totalCount}}"),
    "two of which one is allowed": document('{customer(by:{id:"a" databaseId:1}){id}}'),
    "none of which one is wanted": document("{customer(by:{}){id}}"),
    "null for the one": document("{customer(by:{id:null}){id}}"),
    "both ends at once": document("{customers(first:1 last:1){nodes{id}}}"),
    "more sorts than columns": document(
        "{customers(orderBy:[" + "{lastName:ASC}" * 100 + "]){totalCount}}"
    ),
    "a count of a billion": document("{customers{count(limit:1000000000){value}}}"),
    "groups by nothing": document("{customers{groups(by:[]){aggregates{count}}}}"),
    "groups by all there is": document(
        "{customers{groups(by:[" + "{column:TOWN}" * 100 + "]){aggregates{count}}}}"
    ),
    "a search for U+0000": document('{search(text:"a\\u0000"){totalCount}}'),
    "a search for a book": document(
        "query($t:String!){search(text:$t){totalCount}}", t="a " * 9_000
    ),
    "a type that is none": document("query($a:Nothing){__typename}"),
    "a variable that is nowhere": document("{customers(first:$a){totalCount}}"),
    "a fragment on a scalar": document("{...F} fragment F on Int{a}"),
    "a fragment of nobody": document("{__typename} fragment F on Query{__typename}"),
    "fields of a scalar": document("{customers{totalCount{a}}}"),
    "an object without fields": document("{customers}"),
    "JavaScript's own words": document("{__proto__ constructor toString}"),
    "SQL in a name": document("{customers{nodes{id;DROP TABLE customers}}}"),
    "SQL in an id": document("query($i:ID!){node(id:$i){id}}", i="1'; DROP TABLE customers; --"),
    "parts without end": parts("{...A} fragment A on Query{... @defer{...A}}"),
    "a hundred parts": parts("{" + "... @defer{__typename}" * 100 + "}"),
    "parts of ten thousand objects": parts(
        "{customers(first:100){nodes{orders(first:100){nodes{... @defer{id}}}}}}"
    ),
    "parts in parts in parts": parts(
        "{customers(first:100){nodes{" + "... @defer{id " * 21 + "}" * 21 + "}}}"
    ),
    "two parts of one label": parts(
        '{... @defer(label:"a"){a:__typename} ... @defer(label:"a"){b:__typename}}'
    ),
    "a label by a variable": parts("query($l:String){... @defer(label:$l){__typename}}"),
    "a stream of minus one": parts("{customers{nodes @stream(initialCount:-1){id}}}"),
    "a stream of a value": parts("{customers{totalCount @stream}}"),
    "streams that disagree": parts("{customers{nodes @stream{id} nodes{id}}}"),
    "a mutation in parts": parts("mutation{... @defer{__typename}}"),
    "prototype pollution": raw(b'{"__proto__":{"query":"{__typename}"}}'),
}
