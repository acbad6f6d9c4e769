"""What is searched, and what is found: words, beginnings of words, and what is much like them.

A word is found by its beginning through full text search, and in spite of typing errors through
trigrams; each has a GIN index over the same document, the searched columns in one text.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from sqlalchemy import Numeric, func, or_
from sqlalchemy import cast as sql_cast
from sqlalchemy import literal_column as in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import ColumnElement

SEARCHED: dict[str, tuple[str, ...]] = {
    "Customer": ("first_name", "last_name", "username", "email", "town"),
    "Item": ("name",),
}

# How much of a word must be there for it to be taken for a typing error, as a share of its
# trigrams: "jonh" has 0.4 of "john". It is set for each connection.
LIKENESS = "0.4"

_CONFIGURATION: ColumnElement[Any] = in_words("'simple'::regconfig")
_DIGITS_OF_RANK: ColumnElement[Any] = in_words("6")
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words that are searched for, each once."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))


def document_of(noun: str, column: Callable[[str], ColumnElement[Any]]) -> ColumnElement[Any]:
    """What is searched in a row, given its columns. The indexes are on this expression."""
    first, *rest = (column(name) for name in SEARCHED[noun])
    return reduce(lambda text, part: text.op("||")(in_words("' '")).op("||")(part), rest, first)


def index_expressions(noun: str) -> tuple[str, str]:
    """The SQL that the indexes for words and for trigrams are made of."""
    document = " || ' ' || ".join(SEARCHED[noun])
    return f"to_tsvector('simple'::regconfig, {document})", f"({document}) gin_trgm_ops"


def is_like(document: ColumnElement[Any], word: ColumnElement[Any]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = _words(document).op("@@", is_comparison=True)(_beginning(word))
    return or_(found, word.op("<%", is_comparison=True)(document))


def rank_of(
    document: ColumnElement[Any], words: Sequence[ColumnElement[Any]]
) -> ColumnElement[Any]:
    """An exact number, so that a cursor can hold it."""
    likenesses = _sum(func.word_similarity(word, document) for word in words)
    frequencies = _sum(func.ts_rank(_words(document), _beginning(word)) for word in words)
    return func.round(sql_cast(likenesses + frequencies, Numeric()), _DIGITS_OF_RANK)


def _words(document: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.to_tsvector(_CONFIGURATION, document)


def _beginning(word: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.to_tsquery(_CONFIGURATION, word.op("||")(in_words("':*'")))


def _sum(terms: Iterable[ColumnElement[Any]]) -> ColumnElement[Any]:
    return reduce(add, terms)
