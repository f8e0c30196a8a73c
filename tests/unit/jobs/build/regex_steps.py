"""Counts the steps that a backtracking search takes: a clock would tell how busy the machine is.

It walks over the pattern as `re` parses it, as `re` does, without the shortcuts of `re`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

Rest = Callable[[int], bool]

_CATEGORIES = {
    op.CATEGORY_DIGIT: re.compile(r"\d"),
    op.CATEGORY_NOT_DIGIT: re.compile(r"\D"),
    op.CATEGORY_SPACE: re.compile(r"\s"),
    op.CATEGORY_NOT_SPACE: re.compile(r"\S"),
    op.CATEGORY_WORD: re.compile(r"\w"),
    op.CATEGORY_NOT_WORD: re.compile(r"\W"),
}

_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


def count_steps(regex: re.Pattern[str], text: str) -> int:
    """Return how many steps it takes to search a text, or to find that nothing in it matches."""
    search = _Search(text)
    nodes = list(parser.parse(regex.pattern, regex.flags))
    for start in range(len(text) + 1):
        if search.matches(nodes, start, lambda _: True):
            break

    return search.steps


def list_samples(regex: re.Pattern[str], times: int) -> Iterator[str]:
    """Iterate over texts that nearly match: what repeats in the pattern is there many times, and the end is missing.

    Args:
        regex: the pattern.
        times: how often.
    """
    pieces = list(_join_pieces(_list_pieces(list(parser.parse(regex.pattern, regex.flags)))))
    alphabet = {piece[-1] for piece, _ in pieces} | {piece[0] for piece, _ in pieces}

    for char in sorted(alphabet):
        yield char * times
        yield f"{char}\n" * times
    for end in range(1, len(pieces) + 1):
        begin = "".join(piece for piece, _ in pieces[:end])
        yield begin * times
        yield f"{begin}\n" * times
        yield f"{begin} " * times
        for char in sorted(alphabet):
            yield begin + char * times
        # Each of the parts that repeat, once with as much as it takes.
        for place, (piece, repeats) in enumerate(pieces[:end]):
            if repeats:
                before = "".join(text for text, _ in pieces[:place])
                after = "".join(text for text, _ in pieces[place + 1 : end])
                yield before + piece * times + after
                yield before + piece * times + after[:-1] + "\x00"


def _join_pieces(pieces: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
    """Iterate over pieces with those joined that follow one another and do not repeat."""
    fixed = ""
    for piece, repeats in pieces:
        if not repeats:
            fixed += piece
            continue
        if fixed:
            yield fixed, False
        if piece:
            yield piece, True
        fixed = ""
    if fixed:
        yield fixed, False


def _list_pieces(nodes: list[Any]) -> Iterator[tuple[str, bool]]:
    """Iterate over (text that a part of a pattern matches, whether the part repeats without limit)."""
    for code, argument in nodes:
        if code in _REPEATS:
            least, most, inner = argument
            pieces = list(_list_pieces(list(inner)))
            text = "".join(piece for piece, _ in pieces)
            yield text * max(1, least), most == op.MAXREPEAT
        elif code is op.SUBPATTERN:
            yield from _list_pieces(list(argument[-1]))
        elif code is op.ATOMIC_GROUP:
            yield from _list_pieces(list(argument))
        elif code is op.BRANCH:
            yield from _list_pieces(list(argument[1][0]))
        elif code is op.LITERAL:
            yield chr(argument), False
        elif code in {op.ANY, op.NOT_LITERAL, op.IN}:
            yield _choose_char(code, argument), False


def _choose_char(code: Any, argument: Any) -> str:
    """Return a character that a class takes; one that other parts of patterns take as well, if there is one."""
    for char in "1la:/. \n-'\"(" + string.printable:
        if _takes(code, argument, char):
            return char
    raise AssertionError(f"no character for {code} {argument}")


def _takes(code: Any, argument: Any, char: str) -> bool:
    """Return whether a part of a pattern that stands for one character takes this one."""
    if code is op.ANY:
        return char != "\n"
    if code is op.LITERAL:
        return bool(ord(char) == argument)
    if code is op.NOT_LITERAL:
        return bool(ord(char) != argument)

    negated = bool(argument) and argument[0][0] is op.NEGATE
    return any(_is_in(item, char) for item in argument if item[0] is not op.NEGATE) != negated


def _is_in(item: Any, char: str) -> bool:
    code, argument = item
    if code is op.RANGE:
        return bool(argument[0] <= ord(char) <= argument[1])
    if code is op.CATEGORY:
        return _CATEGORIES[argument].match(char) is not None
    return bool(ord(char) == argument)


class _Search:
    """A search in one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.steps = 0

    def matches(self, nodes: list[Any], position: int, rest: Rest) -> bool:
        """Return whether parts of a pattern match from a position on, and so does what comes after them."""
        self.steps += 1
        if not nodes:
            return rest(position)

        (code, argument), *others = nodes

        def go_on(end: int) -> bool:
            return self.matches(others, end, rest)

        if code in {op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN}:
            is_here = position < len(self._text)
            return is_here and _takes(code, argument, self._text[position]) and go_on(position + 1)
        if code in _REPEATS:
            return self._matches_repeat(code, argument, position, go_on)
        if code is op.SUBPATTERN:
            return self.matches(list(argument[-1]), position, go_on)
        if code is op.ATOMIC_GROUP:
            end = self._find_end(list(argument), position)
            return end is not None and go_on(end)
        if code is op.BRANCH:
            return any(self.matches(list(branch), position, go_on) for branch in argument[1])
        if code in {op.ASSERT, op.ASSERT_NOT}:
            return self._holds(argument, position) == (code is op.ASSERT) and go_on(position)
        if code is op.AT:
            return self._is_at(argument, position) and go_on(position)
        raise AssertionError(f"{code} is not known here")

    def _matches_repeat(self, code: Any, argument: Any, position: int, go_on: Rest) -> bool:
        least, most, inner = argument
        nodes = list(inner)
        if code is op.POSSESSIVE_REPEAT:
            return self._matches_possessive(nodes, least, most, position, go_on)

        def more(count: int, here: int) -> bool:
            self.steps += 1

            def once_more() -> bool:
                if count >= most:
                    return False
                return self.matches(
                    nodes, here, lambda end: (end > here or count < least) and more(count + 1, end)
                )

            if count < least:
                return once_more()
            if code is op.MIN_REPEAT:
                return go_on(here) or once_more()
            return once_more() or go_on(here)

        return more(0, position)

    def _matches_possessive(
        self, nodes: list[Any], least: int, most: int, position: int, go_on: Rest
    ) -> bool:
        count = 0
        while count < most:
            self.steps += 1
            end = self._find_end(nodes, position)
            if end is None or end == position:
                break
            position = end
            count += 1

        return count >= least and go_on(position)

    def _find_end(self, nodes: list[Any], position: int) -> int | None:
        """Return where the first match of some parts ends that begins at a position; None where there is none."""
        ends: list[int] = []

        def note(end: int) -> bool:
            ends.append(end)
            return True

        return ends[0] if self.matches(nodes, position, note) else None

    def _holds(self, argument: Any, position: int) -> bool:
        """Return whether what an assertion looks for is before or after a position."""
        direction, inner = argument
        if direction < 0:
            position -= inner.getwidth()[0]
        return position >= 0 and self._find_end(list(inner), position) is not None

    def _is_at(self, argument: Any, position: int) -> bool:
        if argument is op.AT_BEGINNING:
            return position == 0
        if argument is op.AT_BOUNDARY:
            return re.compile(r"\b").match(self._text, position) is not None
        assert argument is op.AT_END, argument
        return self._text[position:] in {"", "\n"}
