"""Random operations give the same whole result on this executor and on graphql-core's plain one.

The fields of the schema are declared, or have a Python resolver. Their values are drawn from the
seed of their object, so that both executors get the same: mostly what the type expects, and else
null, errors, awaitables and values of a wrong type.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections import Counter
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    ExecutionResult,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    Undefined,
    build_schema,
    execute,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
    parse,
)
from graphql.execution.executor import Executor as GraphQLExecutor
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.execution.running.executor import Executor, IncrementalExecutor

# Both executors leave some coroutines alone: those in a value that is no list, for instance.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

_OPERATIONS = 20
_MAX_DEPTH = 3


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Coroutines that were left alone are warned of here, and not in a later test."""
    yield
    gc.collect()


SCHEMA = build_schema(
    """
    scalar Odd
    enum Size { SMALL LARGE }
    interface Thing { name: String! next: Thing parts: [Thing!] }
    union Either = Cup | Box
    type Cup implements Thing {
        name: String!  next: Thing  parts: [Thing!]
        size: Size  odd: Odd  volume: Int!  twin: Cup!  cups: [Cup]!  rows: [[Cup!]]
    }
    type Box implements Thing {
        name: String!  next: Thing  parts: [Thing!]
        cup: Cup  either: [Either]  tags: [String!]  grid: [[Int!]!]  boxes: [Box!]!  odd: Odd!
    }
    type Query { cup: Cup  box: Box!  boxes: [Box!]  things: [Thing]!  either: Either  odd: Odd }
    """
)


class Value:
    """An object of the answer. Its fields are drawn from its seed."""

    def __init__(self, seed: str, type_: str, trouble: int) -> None:
        self.seed, self.type, self.trouble = seed, type_, trouble

    def __repr__(self) -> str:
        return self.seed

    def __eq__(self, other: object) -> bool:
        return repr(self) == repr(other)

    __hash__ = object.__hash__


class Later:
    """A value that has to be awaited."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return raised(self._value)


class AnyAttribute:
    """It has every attribute, but no field has a value."""

    def __repr__(self) -> str:
        return "any attribute"

    def __eq__(self, other: object) -> bool:
        return type(other) is AnyAttribute

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class Disguised:
    """`isinstance` takes it for an error."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return LookupError


@dataclass(frozen=True)
class Raises:
    """A resolver raises this error."""

    message: str


def raised(value: Any) -> Any:
    if isinstance(value, Raises):
        raise LookupError(value.message)  # noqa: TRY004  it is no wrong type
    return value


async def soon(value: Any) -> Any:
    return raised(value)


async def one_by_one(values: list[Any]) -> AsyncIterator[Any]:
    for value in values:
        yield value


class Drawn:
    """Draws the value of one field, or of one type of an object."""

    def __init__(self, seed: str, trouble: int) -> None:
        self._seed = seed
        self._random = Random(seed)  # noqa: S311
        self._trouble = trouble
        self._number = 0

    def value(self, type_: Any) -> Any:
        if self._random.random() * 100 < self._trouble:
            return self._odd(type_)
        return self._expected(type_)

    def _odd(self, type_: Any) -> Any:
        options: list[Callable[[], Any]] = [
            lambda: None,
            lambda: Undefined,
            lambda: LookupError("returned"),
            lambda: Raises("raised"),
            lambda: Later(self._expected(type_)),
            lambda: Later(None),
            lambda: Later(Raises("awaited")),
            lambda: soon(self._expected(type_)),
            lambda: soon(Raises("soon")),
            lambda: self._random.choice([5, "text", {"a": 1}, [], [None], object]),
            lambda: SimpleNamespace(a=1),
            AnyAttribute,
            Disguised,
            lambda: self._expected(SCHEMA.type_map["Cup"]),
        ]
        return self._random.choice(options)()

    def _expected(self, type_: Any) -> Any:
        if is_non_null_type(type_):
            return self._expected(type_.of_type)
        if is_list_type(type_):
            values = [self.value(type_.of_type) for _ in range(self._random.randint(0, 3))]
            kinds: list[Any] = [list, list, list, list, tuple, iter, one_by_one]
            as_drawn = self._random.choice(kinds)
            return as_drawn(values)
        if isinstance(type_, GraphQLEnumType):
            return self._random.choice(list(type_.values))
        if not is_composite_type(type_):
            return {"Int": 7, "String": "é"}.get(type_.name) or self._random.choice(
                [1, "none", "fails", "list", 1.5, True]
            )
        chosen = type_
        if not isinstance(type_, GraphQLObjectType):
            chosen = self._random.choice(SCHEMA.get_possible_types(type_))
        self._number += 1
        return Value(f"{self._seed} {self._number}", chosen.name, self._trouble)


def serialized(value: Any) -> Any:
    """A value of the scalar Odd."""
    if value == "fails":
        raise ValueError(value)
    return {"none": None, "list": [1, {"a": None}]}.get(str(value), value)


def is_of(type_: str) -> Any:
    """Some values are asked later whether they are of the type, and some are not."""

    def is_type_of(value: Any, _info: Any) -> Any:
        seed = getattr(value, "seed", "")
        found = getattr(value, "type", None) == type_
        drawn = Random(f"{seed} {type_}").random() * 100  # noqa: S311
        if not isinstance(value, Value) or drawn >= value.trouble:
            return found
        return soon(found) if drawn * 2 < value.trouble else False

    return is_type_of


def resolver_of(name: str, type_: Any) -> Any:
    def resolve(source: Any, _info: Any) -> Any:
        trouble = source.trouble
        return raised(Drawn(f"{source.seed}.{name}", trouble).value(type_))

    return resolve


def without_arguments(direct: Any) -> Any:
    return lambda source, info, **_arguments: direct(source, info)


def _prepare() -> None:
    """Give each field a resolver; one of four is declared nowhere, as users' resolvers are."""
    SCHEMA.type_map["Odd"].coerce_output_value = serialized  # type: ignore[attr-defined]
    number = 0
    for type_ in SCHEMA.type_map.values():
        if type_.name.startswith("__"):
            continue
        if isinstance(type_, GraphQLObjectType):
            type_.is_type_of = None if type_.name == "Query" else is_of(type_.name)
            for name, field in type_.fields.items():
                direct = resolver_of(name, field.type)
                field.resolve = without_arguments(direct)
                number += 1
                if number % 4:
                    field.extensions["direct"] = direct
        elif isinstance(type_, GraphQLInterfaceType):
            type_.resolve_type = lambda value, *_: getattr(value, "type", None)


_prepare()


class Writer:
    """Writes one operation."""

    def __init__(self, source: Random, *, in_parts: bool) -> None:
        self._random = source
        self._in_parts = in_parts

    def selection(self, type_: Any, depth: int = 0) -> str:
        most = 4 if depth < _MAX_DEPTH - 1 else 2
        fields = [self._field(type_, depth) for _ in range(self._random.randint(1, most))]
        return "{ " + " ".join(["__typename", *fields][self._random.randint(0, 1) :]) + " }"

    def _field(self, type_: Any, depth: int) -> str:
        possible = SCHEMA.get_possible_types(type_) if hasattr(type_, "resolve_type") else [type_]
        if isinstance(type_, GraphQLUnionType) or self._random.random() < 0.15:
            inner = self._random.choice(possible)
            return f"... on {inner.name}{self._directive()} {self.selection(inner, depth)}"
        names = ["__typename"] if depth >= _MAX_DEPTH else []
        names += [
            name
            for name, field in type_.fields.items()
            if depth < _MAX_DEPTH or not is_composite_type(get_named_type(field.type))
        ]
        name = self._random.choice(names)
        # A key stands for one field of one type: a union's types may differ in it.
        alias = self._random.choice(["", "", f"{name}_a: ", f"{name}_b: "])
        if name == "__typename":
            return "__typename"
        inner = get_named_type(type_.fields[name].type)
        below = self.selection(inner, depth + 1) if is_composite_type(inner) else ""
        is_list = "[" in str(type_.fields[name].type)
        return f"{alias}{name}{self._directive(is_list=is_list)} {below}"

    def _directive(self, *, is_list: bool = False) -> str:
        options = ["", "", "", "", " @include(if: true)", " @skip(if: false)", " @skip(if: true)"]
        if not self._in_parts:  # this executor ignores them, as graphql-core's plain one does
            options += [" @defer"] * (not is_list)
            options += [" @stream(initialCount: 1)", " @stream(initialCount: -1)"] * is_list
        return self._random.choice(options)


async def result_of(executor: Any, text: str, seed: str, trouble: int, **options: Any) -> Any:
    """The data, and each error with its place and its cause, in their order."""
    root = Value(seed, "Query", trouble)
    context = SimpleNamespace(prefetcher=None)
    result = execute(SCHEMA, parse(text), root, context, executor_class=executor, **options)
    result = await result if inspect.isawaitable(result) else result
    assert isinstance(result, ExecutionResult)
    errors = [error.formatted | {"is": type(error.original_error)} for error in result.errors or []]
    for _ in range(5):  # what an error left behind comes to its end
        await asyncio.sleep(0)
    return result.data, errors


def operation(seed: str, *, in_parts: bool = False) -> tuple[str, int]:
    """An operation, and how many percent of its values are trouble."""
    source = Random(seed)  # noqa: S311
    trouble = source.choice([0, 2, 5, 10, 30])
    return Writer(source, in_parts=in_parts).selection(SCHEMA.query_type), trouble


@pytest.mark.parametrize("number", range(12))
async def test_results_are_those_of_graphql_core(number: int) -> None:
    for seed in (f"{number}.{nth}" for nth in range(_OPERATIONS)):
        text, trouble = operation(seed)
        expected = await result_of(GraphQLExecutor, text, seed, trouble)

        found = await result_of(Executor, text, seed, trouble, is_awaitable=optimized_is_awaitable)

        assert found == expected, (seed, text)
        assert str(found[0]) == str(expected[0]), (seed, text)  # the order of keys


@pytest.mark.parametrize("number", range(4))
async def test_an_answer_that_could_be_in_parts_is_that_of_graphql_core(number: int) -> None:
    for seed in (f"parts {number}.{nth}" for nth in range(_OPERATIONS)):
        text, trouble = operation(seed, in_parts=True)
        expected = await result_of(StrawberryGraphQLCoreExecutionContext, text, seed, trouble)

        assert await result_of(IncrementalExecutor, text, seed, trouble) == expected, (seed, text)


async def test_the_operations_meet_what_they_should() -> None:
    met: Counter[str] = Counter()
    for seed in (f"{number}.{nth}" for number in range(12) for nth in range(_OPERATIONS)):
        text, trouble = operation(seed)
        data, errors = await result_of(GraphQLExecutor, text, seed, trouble)
        met["null"] += data is None
        met["no error"] += not errors
        for error in errors:
            met["in a list"] += any(isinstance(key, int) for key in error["path"])
            met["several"] += len(errors) > 1
            met[error["message"].split(" ")[0]] += 1

    expected = ("returned", "raised", "awaited", "soon", "Expected", "Cannot", "fails", "Abstract")
    assert min(met[each] for each in (*expected, "null", "no error", "in a list", "several")) > 3, (
        met
    )
