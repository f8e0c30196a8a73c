"""Text from outside: nothing in it that cannot be seen, and no more of it than fits."""

from __future__ import annotations

import json
import sys

import pytest

from builder.untrusted.text import (
    CUT_MARK,
    JsonLimits,
    UnfitJsonError,
    clean_json,
    clean_line,
    clean_text,
    is_clean,
    show,
    show_unquoted,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ü and 漢字\n\tindented", "plain text, ü and 漢字\n\tindented"),
        ("\x1b]8;;https://bad.invalid\x07link\x1b]8;;\x07", r"\x1b]8;;https://bad.invalid\x07link\x1b]8;;\x07"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
        ("failed\rpassed", r"failed\rpassed"),
        ("\a\b\x7f\x9b31m", r"\x07\x08\x7f\x9b31m"),
        ("\udcff and \ud83d", r"\udcff and \ud83d"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\u200dc\u2060d\ufeff", r"a\u200bb\u200dc\u2060d\ufeff"),
        ("a\u2028b\u2029c\x85d\xa0e", r"a\u2028b\u2029c\x85d\xa0e"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
        ("\u3164\u115f\u034f\u2800", r"\u3164\u115f\u034f\u2800"),
        ("\ue000\uffff", r"\ue000\uffff"),
        ("e\u0301", "e\u0301"),
    ],
)  # fmt: skip
def test_what_cannot_be_seen_becomes_its_escape(text: str, shown: str) -> None:
    assert clean_text(text, 1000) == shown
    assert clean_text(shown, 1000) == shown


def test_no_character_at_all_gets_through_unseen() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))

    cleaned = clean_text(everything, 20_000_000)

    hidden = {char for char in cleaned if not char.isprintable()}
    assert hidden == {"\n", "\t"}
    assert clean_text(cleaned, 20_000_000) == cleaned
    cleaned.encode()


@pytest.mark.parametrize("mark", ["\u0336", "\u0e49", "\ua8e0", "\u0f84", "\U0001e944", "\u20dd"])
def test_marks_do_not_pile_up(mark: str) -> None:
    cleaned = clean_text("Z" + mark * 50, 10_000)

    escape = mark.encode("unicode_escape").decode()
    assert cleaned.count(mark) == 4
    assert cleaned.count(escape) == 46
    assert is_clean(cleaned)


def test_a_long_text_is_cut_where_everybody_sees_it() -> None:
    cleaned = clean_text("x" * 5000, 100)

    assert len(cleaned) == 100
    assert cleaned.endswith(CUT_MARK)
    assert clean_text(cleaned, 100) == cleaned


def test_escapes_do_not_carry_a_text_over_its_limit() -> None:
    cleaned = clean_text("\x1b" * 100, 100)

    assert len(cleaned) == 100
    assert cleaned.endswith(CUT_MARK)


def test_a_limit_without_room_for_the_mark_holds_all_the_same() -> None:
    assert clean_text("abcdef", 3) == "abc"


def test_a_line_is_one_line() -> None:
    assert clean_line("name\r\n\t::error::x") == r"name\r\n\t::error::x"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("numpy", "'numpy'"),
        ("num\u0440y", r"'num\u0440y'"),
        ("a\nb\x1b[2J", r"'a\nb\x1b[2J'"),
        (None, "'NoneType'"),
        ("x" * 120, f"'{'x' * 120}'"),
        ("\n" * 10_000, "'" + r"\n" * 120 + "'… (10000 characters)"),
    ],
)
def test_a_wrong_value_is_shown_in_one_line_of_ascii(value: object, shown: str) -> None:
    assert show(value) == shown


def test_a_wrong_value_can_be_a_part_of_a_sentence() -> None:
    assert show_unquoted("num\u0440y 1.0") == r"num\u0440y 1.0"
    assert show_unquoted("x" * 121) == "x" * 120 + "… (121 characters)"


def test_all_texts_and_keys_of_an_answer_are_cleaned() -> None:
    value = {"k\x1b": ["\udcff", {"n": "\u202e", "f": 1.5, "t": True, "z": None, "i": -3}]}

    cleaned = clean_json(value)

    assert cleaned == {
        r"k\x1b": [r"\udcff", {"n": r"\u202e", "f": 1.5, "t": True, "z": None, "i": -3}]
    }


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 60 + "]" * 60, "more than 40 levels"),
        (json.dumps([0] * 2000), "more than 1,000 items"),
        (json.dumps({str(number): 0 for number in range(600)}), "more than 1,000 items"),
        (json.dumps(["x" * 900] * 20), "more than 10,000 characters"),
        (json.dumps({"x" * 10_001: 0}), "more than 10,000 characters"),
        (str(1 << 63), "an integer of 64 bits"),
        ("1e999", "the number inf"),
        ("[NaN]", "the number nan"),
    ],
)
def test_what_no_honest_answer_has_is_refused(text: str, why: str) -> None:
    limits = JsonLimits(items=1000, characters=10_000)

    with pytest.raises(UnfitJsonError, match=why):
        clean_json(json.loads(text), limits)


def test_a_long_text_in_an_answer_is_cut() -> None:
    cleaned = clean_json(["x" * 500], JsonLimits(text=50))

    assert cleaned == ["x" * (50 - len(CUT_MARK)) + CUT_MARK]
