"""Validates the values of a mutation's input. All problems are collected and reported at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import String

from graph.database.reads import key_of
from graph.database.relationships import mapper_of
from graph.errors import Conflict, InvalidId, NotFound, Problem, ProblemCode, ValidationFailed
from graph.relay import INT4_MAX, to_global_id
from graph.texts import is_invisible, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

# Where a mutation's arguments are, for most of them.
INPUT = ("input",)
MOST_PIECES = 2**15 - 1
MOST_LINES = 1_000
_MOST_MONEY = Decimal(10) ** 8
_CENT = Decimal("0.01")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Values:
    """The provided values of one input, and its problems.

    Texts are normalized to Form C and stripped (`graph.texts`). Each method returns a valid value,
    or adds a problem. Nothing may be changed before `check` has returned.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        path: tuple[str, ...] = INPUT,
        problems: list[Problem] | None = None,
    ) -> None:
        self._given = given
        self._path = path
        self.problems: list[Problem] = [] if problems is None else problems

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def check(self) -> None:
        """Check that there are no problems.

        Raises:
            ValidationFailed: there are; it lists all of them.
        """
        if self.problems:
            raise ValidationFailed(self.problems)

    def wrong(self, name: str, code: ProblemCode, message: str) -> None:
        self.problems.append(Problem((*self._path, *_camel(name)), code, message))

    def within(self, name: str) -> list[Values]:
        """The objects of a list, each with its own path."""
        return [
            Values(each, (*self._path, *_camel(name), str(nth)), self.problems)
            for nth, each in enumerate(self._given.get(name) or ())
        ]

    def inside(self, name: str) -> Values:
        """The values of a required input object, with its own path."""
        given: Any = self._given[name]
        return Values(given, (*self._path, *_camel(name)), self.problems)

    def given(self, name: str) -> Any:
        """The provided value; None if there is none, or null."""
        value = self._given.get(name)
        # An enum's member is a str too, and stays what it is.
        return trimmed(value) if type(value) is str else value

    def texts(self, entity: str, *names: str, required: bool) -> dict[str, str | None]:
        """Texts for columns of an entity, checked against the lengths of the columns.

        With `required` all of them, else those that are provided. A column that may be null takes
        null, and is never required.
        """
        return {
            name: self._text(entity, name, required=required)
            for name in names
            if required or name in self._given
        }

    def email(self, name: str) -> None:
        text = self.given(name)
        if text and (hidden := _hidden_in(text)):
            self.wrong(
                name,
                ProblemCode.INVISIBLE,
                f"It must not contain invisible characters, such as {hidden}.",
            )
        elif text and not _EMAIL.fullmatch(text):
            self.wrong(name, ProblemCode.NOT_AN_EMAIL, f"'{text[:64]}' is not an email address.")

    def money(self, name: str, *, required: bool) -> Decimal | None:
        value: Decimal | None = self._present(name, required=required)
        if value is None:
            return None
        if not 0 <= value < _MOST_MONEY:
            self.wrong(
                name, ProblemCode.OUT_OF_RANGE, f"A price must be from 0 to {_MOST_MONEY - _CENT}."
            )
        elif value != value.quantize(_CENT):
            self.wrong(
                name, ProblemCode.TOO_PRECISE, "A price must have at most two decimal places."
            )
        else:
            return value
        return None

    def number(self, name: str, least: int, most: int, *, required: bool = True) -> int | None:
        value: int | None = self._present(name, required=required)
        if value is not None and not least <= value <= most:
            self.wrong(
                name, ProblemCode.OUT_OF_RANGE, f"It must be from {least} to {most}, not {value}."
            )
            return None
        return value

    def pieces(self, name: str = "quantity") -> int:
        return self.number(name, 1, MOST_PIECES) or 0

    def stock(self, name: str = "stock") -> int | None:
        return self.number(name, 0, INT4_MAX, required=False)

    def key(self, name: str, entity: str) -> int:
        """The key in a global id of an entity; 0, with a problem, if the id is invalid."""
        text = self._given.get(name) or ""
        try:
            key: int = key_of(text, entity)
        except InvalidId as error:
            self.wrong(name, ProblemCode.INVALID_ID, str(error))
            return 0
        return key

    def expected_version(self) -> int | None:
        """The expected version; None if any version is accepted."""
        expected = self.inside("expected_version")
        if "any" in expected:
            expected.only_true("any")
        version: int | None = expected.given("version")
        return version

    def only_true(self, name: str) -> None:
        """Check the boolean of a `@oneOf` input that has a meaning only if it is true."""
        if self.given(name) is not True:
            self.wrong(
                name, ProblemCode.NOT_TRUE, "Only true can be given; leave it out otherwise."
            )

    def _text(self, entity: str, name: str, *, required: bool) -> str | None:
        column = _column(entity, name)
        text: str | None = (
            self.given(name) if column.is_nullable else self._present(name, required=required)
        )
        if text is None:
            return None
        if all(map(is_invisible, text)):
            self.wrong(name, ProblemCode.BLANK, "It must contain a visible character.")
        elif column.is_unique and (hidden := _hidden_in(text)):
            self.wrong(
                name,
                ProblemCode.INVISIBLE,
                f"It must not contain invisible characters, such as {hidden}.",
            )
        elif column.most is not None and len(text) > column.most:
            self.wrong(
                name,
                ProblemCode.TOO_LONG,
                f"It must have at most {column.most} characters, not {len(text)}.",
            )
        return text

    def _present(self, name: str, *, required: bool) -> Any:
        """The provided value. A missing value or null may be a problem."""
        value = self.given(name)
        if value is None and (required or name in self._given):
            self.wrong(name, ProblemCode.REQUIRED, "A value is required.")
        return value


@dataclass(frozen=True, slots=True)
class _Column:
    """What the texts of a column may be; `most` is the number of their characters."""

    is_nullable: bool
    is_unique: bool
    most: int | None


@cache
def _column(entity: str, name: str) -> _Column:
    column = mapper_of(entity).columns[name]
    most = column.type.length if isinstance(column.type, String) else None
    return _Column(bool(column.nullable), bool(column.unique), most)


def _hidden_in(text: str) -> str | None:
    """The first character that nobody sees, by its number: two names with and without look alike.

    A blank between words is seen.
    """
    hidden = (char for char in text if char != " " and is_invisible(char))
    return next((f"U+{ord(char):04X}" for char in hidden), None)


def check_version(entity: str, key: int, *, expected: int | None, row: Any) -> None:
    """Check that the row exists, at the expected version.

    Raises:
        NotFound: `row` is None.
        Conflict: it has another version.
    """
    if row is None:
        raise NotFound(entity, to_global_id(entity, key))
    if expected is not None and row["version"] != expected:
        raise Conflict(entity, key, expected=expected, current=row["version"])


@cache
def _camel(name: str) -> tuple[str, ...]:
    """The GraphQL name of a field as a path; the empty path for the input itself."""
    head, *rest = name.split("_")
    return (head + "".join(word.title() for word in rest),) if name else ()
