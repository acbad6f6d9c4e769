"""Texts in one form: what looks the same is the same."""

from __future__ import annotations

from unicodedata import category, is_normalized, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.texts import is_invisible, trimmed


@given(st.text())
def test_a_trimmed_text_is_nfc_and_trimming_it_again_changes_nothing(text: str) -> None:
    once = trimmed(text)

    assert is_normalized("NFC", once)
    assert trimmed(once) == once
    assert once == once.strip()


@given(st.text(), st.text(alphabet=" \t\r\n\u00a0\u3000\u2028\u200b\ufeff\x00", max_size=3))
def test_blanks_around_a_text_make_no_difference(text: str, blanks: str) -> None:
    assert trimmed(blanks + text + blanks) == trimmed(text)


@pytest.mark.parametrize("text", ["👩‍👩‍👧", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می\u200c", "क्\u200d", "a b", "Å"])
def test_what_belongs_to_a_sign_stays(text: str) -> None:
    assert trimmed(text) == normalize("NFC", text)


@pytest.mark.parametrize(
    "char",
    [
        *" \t\n\x00\x7f\x85\xa0\xad\u034f\u061c\u115f\u17b4\u180e\u200b\u200d\u200e\u2028",
        *"\u202e\u2060\u2800\u3000\u3164\ufe0f\ufeff\uffa0\U000e0001\U000e0100",
    ],
)
def test_what_shows_nothing_is_invisible(char: str) -> None:
    assert is_invisible(char)


@pytest.mark.parametrize("char", [*"a0_-.@éИ漢あ\u0301🏴"])
def test_what_shows_something_is_visible(char: str) -> None:
    assert not is_invisible(char)


def test_of_ascii_blanks_and_controls_are_invisible() -> None:
    ascii_ = [chr(number) for number in range(128)]

    assert [char for char in ascii_ if is_invisible(char)] == [
        char for char in ascii_ if category(char) in {"Cc", "Zs"}
    ]
