"""What a mutation's input must be. All that is wrong is collected, and said at once."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import String

from graph.database.reads import key_of
from graph.database.relationships import mapper_of
from graph.errors import Conflict, InvalidId, NotFound, Problem, ValidationFailed
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
    """What was given at one place of a mutation's arguments, and what is wrong with it.

    Texts are taken in Normalization Form C, without blanks at their ends (`graph.texts`). A name
    that is not among the values was not given. Each method returns a value that holds, or None
    and notes why it does not; nothing may be done before `check` has returned.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        path: tuple[str, ...] = INPUT,
        problems: list[Problem] | None = None,
    ) -> None:
        # An enum's member is a str too, and stays what it is; so does an id, see `key`.
        self._given = {
            name: trimmed(value) if type(value) is str else value for name, value in given.items()
        }
        self._ids = given
        self._path = path
        self.problems: list[Problem] = [] if problems is None else problems

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def check(self) -> None:
        """Return when nothing is wrong.

        Raises:
            ValidationFailed: with all problems there are.
        """
        if self.problems:
            raise ValidationFailed(self.problems)

    def wrong(self, name: str, code: str, message: str) -> None:
        self.problems.append(Problem((*self._path, *_camel(name)), code, message))

    def within(self, name: str) -> list[Values]:
        """The objects of a list, each with its place."""
        return [
            Values(each, (*self._path, *_camel(name), str(nth)), self.problems)
            for nth, each in enumerate(self._given.get(name) or ())
        ]

    def given(self, name: str) -> Any:
        """Whatever was given; None if nothing was."""
        return self._given.get(name)

    def texts(self, entity: str, *names: str, required: bool) -> dict[str, str | None]:
        """Texts that are columns of an entity, as long as these may be."""
        return {name: self._text(entity, name, required=required) for name in names}

    def email(self, name: str) -> None:
        text = self._given.get(name)
        if text and (hidden := _hidden_in(text)):
            self.wrong(name, "INVISIBLE", f"It holds a character that is not seen: {hidden}.")
        elif text and not _EMAIL.fullmatch(text):
            self.wrong(name, "NOT_AN_EMAIL", f"'{text[:64]}' is not a mail address.")

    def money(self, name: str, *, required: bool) -> Decimal | None:
        value: Decimal | None = self._present(name, required=required)
        if value is None:
            return None
        if not 0 <= value < _MOST_MONEY:
            self.wrong(name, "OUT_OF_RANGE", f"A price is from 0 to {_MOST_MONEY - _CENT}.")
        elif value != value.quantize(_CENT):
            self.wrong(name, "TOO_PRECISE", "A price has two decimals at most.")
        else:
            return value
        return None

    def number(self, name: str, least: int, most: int, *, required: bool = True) -> int | None:
        value: int | None = self._present(name, required=required)
        if value is not None and not least <= value <= most:
            self.wrong(name, "OUT_OF_RANGE", f"It is from {least} to {most}, not {value}.")
            return None
        return value

    def pieces(self, name: str = "quantity") -> int:
        return self.number(name, 1, MOST_PIECES) or 0

    def stock(self, name: str = "stock") -> int | None:
        return self.number(name, 0, INT4_MAX, required=False)

    def key(self, name: str, entity: str) -> int:
        """The key in a global id of an entity."""
        text = self._ids.get(name) or ""
        try:
            key: int = key_of(text, entity)
        except InvalidId:
            self.wrong(name, "INVALID_ID", f"'{text[:64]}' is not the id of a {entity}.")
            return 0
        return key

    def expected_version(self) -> int | None:
        """The version that was read. It must be given; null says on purpose that any will do."""
        if "expected_version" not in self._given:
            self.wrong(
                "expected_version", "REQUIRED", "Say which version you have read; null if any."
            )
        version: Any = self._given.get("expected_version")
        return None if version is None else int(version)

    def _text(self, entity: str, name: str, *, required: bool) -> str | None:
        text: str | None = self._present(name, required=required)
        column = mapper_of(entity).columns[name]
        most = column.type.length if isinstance(column.type, String) else None
        if text is None:
            return None
        if all(map(is_invisible, text)):
            self.wrong(name, "BLANK", "It must show something.")
        elif column.unique and (hidden := _hidden_in(text)):
            self.wrong(name, "INVISIBLE", f"It holds a character that is not seen: {hidden}.")
        elif most is not None and len(text) > most:
            self.wrong(name, "TOO_LONG", f"It has {most} characters at most, not {len(text)}.")
        return text

    def _present(self, name: str, *, required: bool) -> Any:
        """What was given; where nothing was, or null, that may be a problem."""
        value = self._given.get(name)
        if value is None and (required or name in self._given):
            self.wrong(name, "REQUIRED", "It must be given, and not be null.")
        return value


def _hidden_in(text: str) -> str | None:
    """The first character that nobody sees, by its number: two names with and without look alike.

    A blank between words is seen.
    """
    hidden = (char for char in text if char != " " and is_invisible(char))
    return next((f"U+{ord(char):04X}" for char in hidden), None)


def check_version(entity: str, key: int, *, expected: int | None, row: Any) -> None:
    """Return when the row is there, at the version that was expected.

    Raises:
        NotFound: there is no row.
        Conflict: it has another version.
    """
    if row is None:
        raise NotFound(entity, to_global_id(entity, key))
    if expected is not None and row["version"] != expected:
        raise Conflict(entity, key, expected=expected, current=row["version"])


def _camel(name: str) -> tuple[str, ...]:
    """A name as clients write it; none for the place itself."""
    head, *rest = name.split("_")
    return (head + "".join(word.title() for word in rest),) if name else ()
