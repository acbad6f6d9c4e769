"""Python resolvers of the bazaar: of each kind, and those that fail where they are told to."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Iterator  # noqa: TC003  Strawberry reads the annotations
from decimal import Decimal
from typing import Any

import strawberry
from graphql.pyutils import Path  # noqa: TC002  as above

from graph.errors import RequestError
from graph.schema.context import Info  # noqa: TC001  as above
from graph.schema.enums import enum
from graph.schema.resolvers import resolver
from tests.bazaar.models import Mood, Size

enum(Mood, "What a trader is like.", SUNNY="Sells.", GLOOMY="Sells little.", STORMY="Buys.")
enum(Size, "How large a good is.", SMALL="In a hand.", LARGE="In a crate.")

_SEEN = ("mentor_id", "mood", "born", "seen", "honest", "purse")
_KNOWN = ("size", "pieces", "price", "weight", "tags", "facts", "serial", "contained_in")
_COMPUTED = ("worth", "guess", "big_label")


def fails(row: Any, every: int | None) -> bool:
    """Whether this row is one of those that fail: each of so many, by its key."""
    return bool(every) and int(row.id) % int(every or 1) == 0


@strawberry.input(description="How to call out.")
class Call:
    words: list[str]
    mood: Mood | None = None
    times: int = 1


@strawberry.type(description="A picture, which is no row.")
class Portrait:
    title: str
    mood: Mood | None
    parts: list[Portrait]

    @strawberry.field(description="What is seen, unless it fails.")  # type: ignore[untyped-decorator]
    async def subject(self, fail: bool | None = None) -> str | None:
        if fail:
            raise ValueError(self.title)
        return self.title.upper()

    @strawberry.field(description="Its height, unless unknown.")  # type: ignore[untyped-decorator]
    def height(self, unknown: bool | None = None) -> int:
        return None if unknown else len(self.title)  # type: ignore[return-value]


@strawberry.type
class TraderResolvers:
    @resolver("All values as Python has them.", needs=("name", *_SEEN))
    def card(self) -> str:
        row: Any = self
        return repr([getattr(row, name) for name in ("id", "name", *_SEEN)])

    @resolver("A greeting.", needs=["name"])
    async def greeting(self, word: str = "Hi", times: int | None = None) -> str:
        row: Any = self
        await sleep(0)
        return f"{word} {row.name}" * min(abs(times or 1), 3)

    @resolver("The other mood.", needs=["mood"])
    def other_mood(self) -> Mood | None:
        row: Any = self
        return None if row.mood is None else Mood(row.mood.value % 3 + 1)

    @resolver("What is called out.", needs=["name", "mood"])
    def calls(self, call: Call | None = None, moods: list[Mood | None] | None = None) -> list[str]:
        row: Any = self
        words = [*(call.words if call else ()), row.name]
        return [f"{word} {row.mood} {call and call.mood} {moods}" for word in words]

    @resolver("A number, or an error where there must be none.", needs=[], cost=2)
    def risk(self, every: int | None = None) -> int:
        if fails(self, every):
            raise ValueError("too risky")
        return 1

    @resolver("A text, or an error with a code.", needs=["name"])
    async def doubt(self, every: int | None = None) -> str | None:
        row: Any = self
        if fails(self, every):
            raise RequestError(f"{row.name} is in doubt")
        return str(row.name)

    @resolver("Null where there must be none.", needs=[])
    async def nothing(self, every: int | None = None) -> bool:
        return None if fails(self, every) else True  # type: ignore[return-value]

    @resolver("Marks, one of which is null where there must be none.", needs=[])
    def marks(self, every: int | None = None) -> list[int] | None:
        return [1, None if fails(self, every) else 2, 3]  # type: ignore[list-item]

    @resolver("Marks that may be null or wrong.", needs=[])
    def loose_marks(self, every: int | None = None) -> list[int | None]:
        marks: Any = (1, "x" if fails(self, every) else 2, None)
        return marks  # type: ignore[no-any-return]

    @resolver("A picture.", needs=["name", "mood"])
    async def portrait(self, every: int | None = None) -> Portrait | None:
        row: Any = self
        if fails(self, every):
            raise ValueError("no picture")
        frame = Portrait(title="frame", mood=None, parts=[])
        return Portrait(title=row.name, mood=row.mood, parts=[frame, frame])

    @resolver("Where the answer has it.", needs=[])
    async def place(self, info: Info) -> str:
        steps = []
        path: Path | None = info.path
        while path is not None:
            steps.append(f"{path.typename}.{path.key}")
            path = path.prev
        return f"{steps} {info.context.viewer.subject} {info.field_name}"


@strawberry.type
class GoodResolvers:
    @resolver("All values as Python has them.", needs=("label", *_KNOWN, *_COMPUTED))
    def card(self) -> str:
        row: Any = self
        return repr([getattr(row, name) for name in ("id", "label", *_KNOWN, *_COMPUTED)])

    @resolver("The price in coins.", needs=["price"])
    def coins(self) -> list[list[Decimal]]:
        row: Any = self
        return [[row.price or Decimal("0.50")], []]

    @resolver("A size that is none where it fails.", needs=["size"])
    async def other_size(self, every: int | None = None) -> Size:
        row: Any = self
        other = Size.LARGE if row.size is Size.SMALL else Size.SMALL
        return "none" if fails(self, every) else other  # type: ignore[return-value]

    @resolver("Tags one by one.", needs=["tags"])
    def each_tag(self) -> list[str]:
        def tags() -> Iterator[str]:
            row: Any = self
            yield from row.tags or ()

        return tags()  # type: ignore[return-value]
