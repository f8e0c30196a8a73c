r"""The door for text from outside: bounded, and every character of it can be seen.

Packages, containers, indexes and logs write text that ends up in terminals, pages and ledgers. There a control
character is a command (`\x1b]8;;` makes a link), a bidirectional control shows letters in another order than they have,
and a half of a surrogate pair cannot be encoded at all. Here such characters become their escapes, as Python has them.

What is special in one kind of output alone (HTML, Markdown, rich's markup, commands of CI systems) is left to it.
"""

from __future__ import annotations

import json
import math
import re
import sys
import unicodedata
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
"""JSON data as Python has it."""

TEXT_LIMIT = 64 << 10
"""Characters of a text from outside. The longest in a run of the default matrix is a replay script of 12,289."""

LINE_LIMIT = 1000
"""Characters of a text that is shown in one line, such as an error or a name. The longest line that the farm cut itself
has 838."""

SHOWN_LIMIT = 120
"""Characters of a wrong value that an error shows: enough for the name of a wheel, and an error stays one line."""

CUT_MARK = " [… cut]"
"""The end of a text that was longer than its limit."""

_MOST_MARKS = 4
"""Combining marks that one letter may have. Written languages need three; more are drawn over the lines above."""

_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00016fe4\U0001d159"
    "\U000e0100-\U000e01ef]"
)
"""Characters that `str.isprintable` takes for letters, marks or symbols and that nobody sees: joiners, fillers, blanks
and variation selectors (Unicode's Default_Ignorable_Code_Point, and the blank pattern of Braille)."""

_MARK_CATEGORIES = frozenset({"Mn", "Me"})
"""Unicode's categories of marks that are drawn over, below or around the letter before them, in all scripts."""


class UnfitJsonError(ValueError):
    """JSON data from outside is larger or deeper than any honest answer. The text says what was found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonLimits:
    """How large JSON data from outside may be.

    Attributes:
        depth: how many arrays and objects may be inside one another. Facts and plans have 9 at most.
        items: values, those inside others and the keys of objects among them. A race job of the default matrix has
            11,922.
        characters: of all texts and keys together.
        key: characters of one key; a longer one is cut.
        numbers: whether numbers must be finite, and integers fit into 64 bits.
    """

    depth: int = 40
    items: int = 2_000_000
    characters: int = 32 << 20
    text: int = TEXT_LIMIT
    key: int = LINE_LIMIT
    numbers: bool = True


DEFAULT_LIMITS = JsonLimits()

_NO_LIMITS = JsonLimits(
    depth=sys.maxsize,
    items=sys.maxsize,
    characters=sys.maxsize,
    text=sys.maxsize,
    key=sys.maxsize,
    numbers=False,
)
"""For what is recorded: it was let in once, and an error about it would come up again in every run."""

_LARGEST_INTEGER = (1 << 63) - 1
"""What SQLite and every consumer of the reports can hold, and what turns into a float without an error."""

_UNUSUAL_ESCAPE = re.compile(r'\\[^"\\/nt]')
"""An escape of JSON that may stand for a character that cannot be seen. It is also found after an escaped backslash."""

_ITEM_MARKS = (b"[", b"{", b",")


def clean_text(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Return a text with every character visible, newlines and tabs as they are, cut to a limit.

    Cleaning a text that is clean already changes nothing.

    `'\x1b[2Jfine\u202e' -> '\\x1b[2Jfine\\u202e'`

    Args:
        text: from outside.
        limit: most characters of the result; a longer text ends with `CUT_MARK`.
    """
    if len(text) > limit:
        text = _cut(text, limit)
    if text.isascii() and text.isprintable():
        return text

    lines: list[str] = []
    for line in text.split("\n"):
        lines.append(_show_hidden(line, kept="\t"))
    cleaned = "\n".join(lines)

    # The escapes may have made it longer.
    return _cut(cleaned, limit) if len(cleaned) > limit else cleaned


def clean_line(text: str, limit: int = LINE_LIMIT) -> str:
    r"""Return a text as `clean_text` does, in one line: newlines and tabs become escapes as well.

    `'name\n::error::' -> 'name\\n::error::'`

    Args:
        text: from outside.
        limit: most characters of the result.
    """
    if len(text) > limit:
        text = _cut(text, limit)
    if text.isascii() and text.isprintable():
        return text

    cleaned = _show_hidden(text, kept="")
    return _cut(cleaned, limit) if len(cleaned) > limit else cleaned


def show(value: object) -> str:
    r"""Return a value from outside for an error: in quotes, on one line, cut, printable ASCII alone.

    A letter that looks like another one (Cyrillic ones like Latin ones) becomes its escape. Of anything but a text, the
    type is shown.

    `'name\n::error::' -> "'name\\n::error::'"`
    """
    text = value if isinstance(value, str) else type(value).__name__
    return ascii(text[:SHOWN_LIMIT]) + _describe_cut(text)


def show_unquoted(text: str) -> str:
    """Return a text from outside as `show` does, without the quotes: as a part of a sentence."""
    return ascii(text[:SHOWN_LIMIT])[1:-1] + _describe_cut(text)


def clean_json(value: object, limits: JsonLimits = DEFAULT_LIMITS) -> Json:
    """Return JSON data with every text and key cleaned, and check that it is no larger than an honest answer.

    Texts that are too long are cut. Of keys that look the same when they are clean, the last one stays.

    Args:
        value: what `json.loads` returned.
        limits: how large it may be.

    Raises:
        UnfitJsonError: it is too deep, has too many items or characters, or a number that is not finite or has more
            than 63 bits.
    """
    return _Cleaning(limits).clean(value, 0)


def parse_answer(answer: bytes, limit_bytes: int, limits: JsonLimits = DEFAULT_LIMITS) -> object:
    """Return the JSON data that a program answered, in bytes, as `json.loads` does: nothing in it is cleaned yet.

    Args:
        answer: the bytes.
        limit_bytes: how many there may be.
        limits: for how many items. They are counted before anything is made of them: `[]` takes 2 bytes here, and 60 in
            Python's memory.

    Raises:
        UnfitJsonError: it is no JSON, or too large.
    """
    if len(answer) > limit_bytes:
        raise UnfitJsonError(f"it has {len(answer):,} bytes, more than {limit_bytes:,}")
    if count_item_marks(answer) > limits.items:
        raise UnfitJsonError(f"it has more than {limits.items:,} items")

    try:
        return json.loads(answer)
    # ValueError also of bytes that are no text, and of numbers with too many digits.
    except (ValueError, RecursionError) as error:
        raise UnfitJsonError(f"it is not JSON: {error}") from None


def count_item_marks(answer: bytes) -> int:
    """Return how many values some JSON data has at most; marks inside its texts count as well."""
    return sum(map(answer.count, _ITEM_MARKS))


def parse_recorded_json(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return JSON data that the farm recorded itself, with every text cleaned: an older farm let in more than this one.

    Nothing is refused or cut. Most of what is recorded needs no cleaning, which is seen without looking at each text.

    Args:
        text: as `json.dumps` wrote it.
    """
    value = json.loads(text)

    is_plain = text.isascii() and text.isprintable() and _UNUSUAL_ESCAPE.search(text) is None
    if is_plain:
        return value

    return clean_json(value, _NO_LIMITS)


def is_clean(text: str) -> bool:
    """Return whether a text, apart from its length, is as `clean_text` would return it."""
    return clean_text(text, len(text)) == text


class _Cleaning:
    """One call of `clean_json`: counts what it has seen."""

    def __init__(self, limits: JsonLimits) -> None:
        self._limits = limits
        self._items = 0
        self._characters = 0

    def clean(self, value: object, depth: int) -> Json:
        """Return a value with its texts cleaned, and all that is inside it.

        Args:
            value: the value.
            depth: how many arrays and objects it is inside of.

        Raises:
            UnfitJsonError: a limit is passed.
        """
        self._count_item()

        if isinstance(value, str):
            return self._clean_text(value, self._limits.text)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return _check_integer(value) if self._limits.numbers else value
        if isinstance(value, float):
            return _check_float(value) if self._limits.numbers else value

        if depth >= self._limits.depth:
            raise UnfitJsonError(f"it is nested more than {self._limits.depth} levels deep")
        if isinstance(value, list):
            return [self.clean(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return self._clean_object(value, depth)

        raise UnfitJsonError(f"it has a {type(value).__name__}, which JSON has not")

    def _clean_object(self, value: dict[object, object], depth: int) -> dict[str, Json]:
        cleaned: dict[str, Json] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise UnfitJsonError(f"it has a {type(key).__name__} as a key")
            self._count_item()
            cleaned[self._clean_text(key, self._limits.key)] = self.clean(item, depth + 1)

        return cleaned

    def _clean_text(self, text: str, limit: int) -> str:
        self._characters += len(text)
        if self._characters > self._limits.characters:
            raise UnfitJsonError(f"it has more than {self._limits.characters:,} characters of text")

        return clean_text(text, limit)

    def _count_item(self) -> None:
        self._items += 1
        if self._items > self._limits.items:
            raise UnfitJsonError(f"it has more than {self._limits.items:,} items")


def _check_integer(number: int) -> int:
    if abs(number) > _LARGEST_INTEGER:
        raise UnfitJsonError(f"it has an integer of {number.bit_length()} bits")

    return number


def _check_float(number: float) -> float:
    if not math.isfinite(number):
        raise UnfitJsonError(f"it has the number {number}, which JSON has not")

    return number


def _describe_cut(text: str) -> str:
    """Return what stands behind a text of which `SHOWN_LIMIT` characters are shown; nothing where that is all of it."""
    return f"… ({len(text)} characters)" if len(text) > SHOWN_LIMIT else ""


def _cut(text: str, limit: int) -> str:
    """Return the beginning of a text that is too long, with a mark at its end where there is room for one."""
    kept = limit - len(CUT_MARK)
    if kept < 0:
        return text[:limit]

    return text[:kept] + CUT_MARK


def _show_hidden(line: str, kept: str) -> str:
    """Return a line with the escapes of all characters that cannot be seen.

    Args:
        line: the line.
        kept: characters that stay although they are not printable.
    """
    if not line.isprintable():
        shown = [char if char.isprintable() or char in kept else _escape(char) for char in line]
        line = "".join(shown)
    if line.isascii():
        return line

    line = _INVISIBLE.sub(lambda match: _escape(match[0]), line)
    return _limit_marks(line)


def _limit_marks(line: str) -> str:
    """Return a line in which marks after the first few of a letter are escapes."""
    shown: list[str] = []
    marks = 0
    for char in line:
        marks = marks + 1 if unicodedata.category(char) in _MARK_CATEGORIES else 0
        shown.append(_escape(char) if marks > _MOST_MARKS else char)

    return "".join(shown)


def _escape(char: str) -> str:
    r"""Return a character's escape, as Python writes it: `\r`, `\x1b`, `\u202e`, `\U000e0041`."""
    return char.encode("unicode_escape").decode("ascii")
