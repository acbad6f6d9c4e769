"""A list's page, read with what was worked out for the pages before it, is the one read alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import RequestError
from graph.execution.planning.pages import PageReader, page_of
from graph.relay import encode_cursor, to_global_id
from graph.selection import Page

TIMES = ["2024-01-31T12:00:00+00:00", "2025-06-01T00:00:00+00:00"]
ORDERS: list[dict[str, Any]] = [{"datePlaced": "DESC"}]


def filtered(time: Any, quantity: Any) -> dict[str, Any]:
    """The arguments of a list of orders whose condition has two variables."""
    given = {} if time is ... else {"gte": time}
    lines = {} if quantity is ... else {"ne": quantity}
    condition = {
        "datePlaced": {**given, "lt": "2030-01-01T00:00:00+00:00"},
        "or": [
            {"lineItems": {"some": {"quantity": lines}}},
            {"id": {"eq": to_global_id("Order", 3)}},
        ],
    }
    return {"where": condition, "orderBy": ORDERS}


PATHS = [
    ("where", "datePlaced", "gte"),
    ("where", "or", "0", "lineItems", "some", "quantity", "ne"),
]
SLICE = [("first",), ("last",)]
TIME = st.sampled_from([*TIMES, None, ...])
QUANTITY = st.sampled_from([1, 2, 32_767, None, ...])
SIZES = st.fixed_dictionaries(
    {}, optional={"first": st.integers(-1, 101), "last": st.integers(-1, 101)}
)


def outcome(read: Any, arguments: dict[str, Any]) -> Any:
    try:
        page = read(arguments)
    except RequestError as error:
        return type(error), str(error)
    return page, page.shape


@given(st.lists(st.tuples(TIME, QUANTITY, SIZES), min_size=2, max_size=6))
def test_a_condition_that_is_kept_is_the_one_that_is_read_anew(
    requests: list[tuple[Any, Any, dict[str, Any]]],
) -> None:
    reader = PageReader("Order", (), [*PATHS, *SLICE])
    for time, quantity, sizes in requests:
        arguments = filtered(time, quantity) | sizes

        assert outcome(reader, arguments) == outcome(
            lambda given: page_of(given, "Order"), arguments
        )


CURSOR = encode_cursor("Order:id", 3)


@pytest.mark.parametrize(
    "slice_",
    [{}, {"first": 3}, {"last": 0}, {"first": 5, "offset": 2}, {"first": 2, "after": CURSOR}],
)
@given(st.lists(st.tuples(TIME, QUANTITY, st.integers(0, 3)), min_size=2, max_size=6))
def test_a_page_whose_operands_alone_differ_is_the_one_that_is_read_anew(
    slice_: dict[str, Any], requests: list[tuple[Any, Any, int]]
) -> None:
    plain, of_log = PageReader("Order", (), PATHS), PageReader("Order", (), PATHS)
    for time, quantity, settled in requests:
        arguments = filtered(time, quantity) | {"orderBy": []} | slice_
        logged = arguments | {"$settled": settled}

        for reader, given_ in ((plain, arguments), (of_log, logged)):
            read = outcome(reader, given_)

            assert isinstance(read[0], Page) is (None not in {time, quantity})
            assert read == outcome(lambda given: page_of(given, "Order"), given_)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("where",), [{"town": {"eq": "A"}}, {"town": {"in": ["A"]}}, {"email": {"eq": "a"}}, {}]),
        (("orderBy",), [[{"town": "ASC"}], [{"town": "DESC"}], [], None]),
        (("where", "town"), [{"eq": "A"}, {"ne": "A"}, {"contains": "A"}]),
        (("where", "town", "contains"), ["A", "%", None]),
        (("where", "town", "in"), [["A"], ["A", "B"], [], None]),
        (("where", "town", "eqIgnoreCase"), ["A", "b"]),
        (("where", "search"), ["word", "  ", "other"]),
        (("where", "id", "eq"), [to_global_id("Customer", 1), to_global_id("Order", 1), "", None]),
    ],
)
def test_what_changes_a_condition_is_read_anew(path: tuple[str, ...], values: list[Any]) -> None:
    reader = PageReader("Customer", (), [path])
    for value in [*values, *values]:
        arguments: dict[str, Any] = {}
        inner = arguments
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value

        assert outcome(reader, arguments) == outcome(
            lambda given: page_of(given, "Customer"), arguments
        )


def test_cursors_with_nulls_at_other_places_are_other_shapes() -> None:
    reader = PageReader("Customer", (), [("after",), ("before",), ("last",), ("offset",)])

    shapes = [
        reader({"after": encode_cursor("Customer:id", 17)}).shape,
        reader({"before": encode_cursor("Customer:id", 17)}).shape,
        reader({"last": 3}).shape,
        reader({"offset": 3}).shape,
        reader({"first": 3}).shape,
    ]

    assert len(set(shapes)) == len(shapes)
    assert reader({"first": 7}).shape is shapes[-1]


def test_a_condition_is_made_once_for_all_values_of_its_variables() -> None:
    reader = PageReader("Order", (), PATHS)

    pages = [reader(filtered(time, quantity)) for time, quantity in zip(TIMES, [1, 2], strict=True)]

    assert pages[0].where is pages[1].where
    assert pages[0].order is pages[1].order
    assert pages[0].shape is pages[1].shape
    assert pages[0].operands != pages[1].operands
