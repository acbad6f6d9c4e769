"""Texts that people type: in one form, without what shows nothing at their ends.

Two texts that look the same should be the same: `é` is one character or two (Unicode Standard Annex
15), and a blank at the end is invisible.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

# Letters, marks and symbols that show nothing (Unicode's Default_Ignorable_Code_Point, and the
# empty pattern of Braille), beside control characters, format characters and blanks.
_EMPTY = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp"}
# Zero width blanks; what else is a format character may end an emoji or a word.
_ZERO_WIDTH = "\u200b\u2060\ufeff"


def trimmed(text: str) -> str:
    """In Normalization Form C, without blanks and control characters at either end."""
    if text.isascii() and text.isprintable():
        return text.strip(" ")
    text = normalize("NFC", text)
    start, end = 0, len(text)
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def is_invisible(char: str) -> bool:
    """Whether a character shows nothing by itself: a blank, a control, a joiner, a filler."""
    if "!" <= char <= "~":  # most are these
        return False
    return category(char) in _INVISIBLE or _EMPTY.match(char) is not None


def _is_blank(char: str) -> bool:
    return char.isspace() or char in _ZERO_WIDTH or category(char) == "Cc"
