"""The executor's fast path for declared fields gives the same answers as graphql-core's own."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from graphql import ExecutionResult, execute, parse
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.running.executor import Executor
from graph.schema.connections import Connection  # noqa: TC001  Strawberry reads the annotations
from graph.schema.fields import column, connection, to_one
from graph.schema.node import Node
from graph.schema.scalars import SCALARS, BigInt
from graph.schema.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@strawberry.type(description="A customer.")
class Customer(Node):
    id: BigInt = column("Number.", name="databaseId")
    first_name: str = column("Given name.")
    town: str | None = column("The town.")
    debt: Decimal | None = column("What is owed.")
    added: datetime | None = column("When.")
    tags: list[str] | None = column("Words.")
    best_friend: Customer | None = to_one("Another.")
    friends: Connection[Customer] = connection("Others.")


@strawberry.type(description="The ways in.")
class Query:
    @strawberry.field(description="Whatever it is given.")  # type: ignore[untyped-decorator,unused-ignore]
    def customer(self) -> Customer | None:
        return the_customer[0]  # type: ignore[no-any-return]

    @strawberry.field(description="The same twice.")  # type: ignore[untyped-decorator,unused-ignore]
    async def customers(self) -> list[Customer | None]:
        return [the_customer[0], the_customer[0]]


the_customer: list[Any] = []
schema = Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))

FIELDS = """id databaseId __typename firstName alias: town town debt added tags
    bestFriend { firstName bestFriend { town } }
    friends(first: 2) { nodes { firstName bestFriend { town } } totalCount
        edges { cursor node { town } } pageInfo { hasNextPage } }"""


class Loaded:
    """Loaders that answer from the objects themselves, as the objects say: at once or later."""

    def one(self, _asked: Any, source: Any) -> Any:
        return source.friend

    def many(self, _asked: Any, source: Any) -> Any:
        return source.friends

    def count(self, _asked: Any, key: Any) -> Any:
        return key


class Later:
    """A value that has to be awaited, or an error."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        if isinstance(self._value, Exception):
            raise self._value
        return self._value


def a_customer(**values: Any) -> Any:
    made = object.__new__(Customer)
    standard = {"id": 7, "first_name": "Ada", "town": None, "debt": None, "added": None}
    made.__dict__.update(standard | {"tags": None, "friend": None, "friends": a_page()} | values)
    return made


def a_page(*nodes: Any, key: Any = 3) -> Any:
    edges = [SimpleNamespace(cursor=f"at {nth}", node=node) for nth, node in enumerate(nodes)]
    flags = SimpleNamespace(has_next_page=False)
    return SimpleNamespace(key=key, nodes=nodes, edges=edges, page_info=flags)


CUSTOMERS: dict[str, Callable[[], Any]] = {
    "plain": lambda: a_customer(
        town="Lund",
        debt=Decimal("1.50"),
        added=datetime(2026, 1, 31, tzinfo=UTC),
        tags=["a", "b"],
        friend=a_customer(first_name="Bo"),
        friends=a_page(a_customer(), a_customer(friend=a_customer(town="Oslo"))),
    ),
    "nobody": lambda: None,
    "null where none may be": lambda: a_customer(first_name=None),
    "null where none may be, deep": lambda: a_customer(
        friend=a_customer(first_name=None), friends=a_page(a_customer(first_name=None))
    ),
    "no such attribute": lambda: a_customer(friend=SimpleNamespace()),
    "another type's object": lambda: SimpleNamespace(id=1),
    "a value that does not fit": lambda: a_customer(id=2**40, town=SimpleNamespace, debt="much"),
    "an error for a value": lambda: a_customer(town=LookupError("town"), id=LookupError("id")),
    "awaited values": lambda: a_customer(
        first_name=Later("Ada"), town=Later(None), friends=Later(a_page(a_customer()))
    ),
    "awaited counts": lambda: a_customer(friends=a_page(a_customer(), key=Later(5))),
    "awaited errors": lambda: a_customer(
        town=Later(LookupError("town")),
        friend=Later(a_customer(first_name=Later(LookupError("name")))),
        friends=a_page(a_customer(), Later(a_customer(first_name=Later(None)))),
    ),
    "a list that is none": lambda: a_customer(tags=5, friends=SimpleNamespace(nodes=5)),
}


async def answered(executor: Any, query: str, customer: Any) -> tuple[Any, Any]:
    the_customer[:] = [customer]
    result = execute(
        schema._schema,  # noqa: SLF001
        parse(query),
        context_value=SimpleNamespace(loaders=Loaded(), selected=lambda _path: None),
        executor_class=executor,
    )
    result = await result if inspect.isawaitable(result) else result
    assert isinstance(result, ExecutionResult)
    errors = [error.formatted | {"is": type(error.original_error)} for error in result.errors or []]
    return result.data, errors


@pytest.mark.parametrize("case", CUSTOMERS)
@pytest.mark.parametrize("query", [f"{{ customer {{ {FIELDS} }} }}", "{ customer { id town } }"])
async def test_answers_and_errors_are_those_of_graphql_core(case: str, query: str) -> None:
    standard = await answered(StrawberryGraphQLCoreExecutionContext, query, CUSTOMERS[case]())
    short = await answered(Executor, query, CUSTOMERS[case]())

    assert short == standard


async def test_errors_in_a_list_stand_at_their_own_element() -> None:
    query = "{ customers { town } }"
    customer = a_customer(town=LookupError("town"))

    data, errors = await answered(Executor, query, customer)

    assert data == {"customers": [{"town": None}, {"town": None}]}
    assert [error["path"] for error in errors] == [["customers", n, "town"] for n in (0, 1)]
    assert (data, errors) == await answered(StrawberryGraphQLCoreExecutionContext, query, customer)
