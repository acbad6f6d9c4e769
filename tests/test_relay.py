"""Global ids and cursors: only those that this code creates are accepted."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import InvalidCursor, InvalidId
from graph.execution.planning.pages import page_of
from graph.relay import INT8_MAX, RowKey, decode_cursor, from_global_id, to_global_id
from graph.selection import sort_of
from tests.rows import cursor_of

entities = st.from_regex(r"[A-Z][A-Za-z]{0,30}", fullmatch=True)
keys = st.integers(1, INT8_MAX)


def encoded(plain: str) -> str:
    return b64encode(plain.encode()).decode()


@given(entities, keys | st.uuids())
def test_an_id_holds_an_entity_and_a_key(entity: str, key: RowKey) -> None:
    assert from_global_id(to_global_id(entity, key)) == (entity, key)


@given(entities, keys)
def test_a_cursor_holds_a_key(entity: str, key: int) -> None:
    assert decode_cursor("after", cursor_of(entity, key), sort_of(entity)) == [key]


def test_an_id_follows_relays_convention() -> None:
    assert to_global_id("Customer", 17) == encoded("Customer:17")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Customer:1",
        "\0",
        "\ud800",
        "Ⅷ",
        "=",
        "Q3VzdG9tZXI6MQ",  # padding is missing
        "Q3VzdG9tZXI6MR==",  # its last bits are ignored by base64, not by us
        "Q3VzdG9tZXI6MQ==\n",
        " Q3VzdG9tZXI6MQ==",
        encoded("Customer"),
        encoded("Customer:"),
        encoded("Customer:0"),
        encoded("Customer:-1"),
        encoded("Customer:01"),
        encoded("Customer:+1"),
        encoded("Customer:1.0"),
        encoded("Customer:१"),
        encoded("Customer:1\n"),
        encoded("Customer:1:1"),
        encoded("customer:1"),
        encoded(":1"),
        encoded("Customer:9223372036854775808"),
        encoded("Customer:" + "9" * 6000),
        b64encode(b"\xff:1").decode(),
    ],
)
def test_a_malformed_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidId, match="is not an id of this API"):
        from_global_id(text)


def test_a_long_id_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidId) as refused:
        from_global_id("x" * 1_000_000)

    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ud800",
        "17",
        encoded(""),
        encoded("17"),
        encoded("null"),
        encoded("[]"),
        encoded('["Customer:id"]'),
        encoded('["Customer:id",17,18]'),
        encoded('["Customer:id",null]'),
        encoded('["Customer:id","17"]'),
        encoded('["Customer:id",17.0]'),
        encoded('["Customer:id",true]'),
        encoded('["Customer:id",NaN]'),
        encoded('["Customer:id",9223372036854775808]'),
        encoded('["Customer:id",' + "9" * 6000 + "]"),
        encoded('{"Customer:id":17}'),
        encoded("[" * 100_000),
        b64encode(b'["Customer:id","\xff"]').decode(),
    ],
)
def test_a_malformed_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="'after' is not a cursor of this API"):
        page_of({"after": text}, "Customer")


@pytest.mark.parametrize(
    "text", [cursor_of("Order", 17), encoded('["Customer:name","A"]'), encoded('{"a":1,"b":2}')]
)
def test_a_cursor_of_another_list_or_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="'before' is a cursor of another list, or of another"):
        page_of({"before": text}, "Customer")


@given(st.text() | st.text().map(encoded) | st.binary().map(lambda raw: b64encode(raw).decode()))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        entity, key = from_global_id(text)
    except InvalidId:
        return

    assert to_global_id(entity, key) == text
