"""The sentences of a README or another document, whichever markup it is in: plain text, Markdown or reStructuredText.

No markup is parsed as its standard has it: what matters is where a sentence begins and ends, and that any text takes
time in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PARAGRAPH = 4_000
"""Characters that are looked at of a paragraph: a longer one is no prose."""

_MAX_LINE = 2_000  # characters of a line, as well
_MAX_HEADED = 2  # sentences below a heading that are about what it says

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(\[*])")
"""Between two sentences; `e.g. this` and `3.14 is` are none."""

_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf)\.$", re.IGNORECASE)
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+_:.])\1{2,}")
"""What stands below a heading, and sometimes above (reStructuredText, "Sections"; Markdown's setext headings)."""

_HEADING = re.compile(r"#{1,6}\s+")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+")
_FENCE = re.compile(r"`{3,}|~{3,}")
_CODE = re.compile(r"(?:>>>|\.\.\.|\$)(?:\s|$)")  # a session, line by line
_LITERAL_BELOW = re.compile(
    r"(?!\.\. ).*::|\.\. (?:code|code-block|sourcecode|doctest|testcode|parsed-literal|literalinclude)::.*"
    r"|\.\. (?:version(?:added|changed|removed)|deprecated|index)::.*"
)
"""A line below which what is indented is code, not prose (reStructuredText, "Literal Blocks"), or tells of the past."""

_DIRECTIVE = re.compile(r"\.\. [a-z-]{1,40}:: *")

_ABOUT_THREADS = re.compile(
    r"thread[- ]?(?:un)?saf|free[- ]?thread|multi[- ]?thread|\bthreading\b|\bgil\b|\bconcurrency\b|^threads$",
    re.IGNORECASE,
)
"""Headings below which it is said what threads may do."""

_ABOUT_THE_PAST = re.compile(
    r"\s*(?:the\s+)?(?:change\s?-?logs?|changes|(?:release\s+)?history|release notes|news|what'?s new)\b",
    re.IGNORECASE,
)
"""Headings after which a document tells what was: in descriptions that is the rest of it."""

_MARKUP = (
    (re.compile(r"!\[[^\]]{0,200}\]\([^()]{0,500}\)"), ""),  # a picture
    (re.compile(r"\[([^\]\[]{1,200})\]\([^()]{0,500}\)"), r"\1"),  # a link of Markdown
    (re.compile(r":[a-zA-Z:+-]{1,40}:`~?([^`<]{1,200}?)\s*(?:<[^`]{0,200}>)?`"), r"\1"),  # a role of Sphinx
    (re.compile(r"`([^`<]{1,200}?)\s*<[^`]{0,500}>`_{1,2}"), r"\1"),  # a link of reStructuredText
    (re.compile(r"``([^`]{1,200})``"), r"`\1`"),
    (re.compile(r"\*\*([^*]{1,300})\*\*"), r"\1"),
    (re.compile(r"</?[a-zA-Z][^<>:]{0,200}>"), ""),  # an element of HTML
)  # fmt: skip
"""What is markup, and what is left of it as plain text. Each pattern is bounded, and tried once at a place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """A sentence, without markup.

    Attributes:
        line: where its paragraph has it, from 1.
        is_headed: whether it is among the first below a heading about threads.
    """

    text: str
    line: int
    is_headed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Paragraph:
    """Lines that belong together: a paragraph, an item of a list, a row of a table or a heading."""

    lines: tuple[str, ...]
    first_line: int
    is_heading: bool = False


def iter_sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a document in their order; headings, code and what tells of the past are none."""
    headed = 0
    for paragraph in _iter_paragraphs(text):
        if paragraph.is_heading:
            title = " ".join(paragraph.lines)
            if _ABOUT_THE_PAST.match(title):
                return
            headed = _MAX_HEADED if _ABOUT_THREADS.search(title) else 0
            continue

        for sentence, line in _split(paragraph):
            yield Sentence(text=sentence, line=line, is_headed=headed > 0)
            headed -= 1


def _iter_paragraphs(text: str) -> Iterator[_Paragraph]:
    """Yield the paragraphs of a document, and its headings."""
    lines: list[str] = []
    first_line = 1
    for number, line in _iter_prose(text):
        is_underline = _UNDERLINE.fullmatch(line) is not None
        if is_underline and lines:
            yield _Paragraph(lines=tuple(lines), first_line=first_line, is_heading=True)
            lines = []
            continue

        heading = _HEADING.match(line)
        begins_anew = (
            not line or is_underline or heading is not None or _ITEM.match(line) is not None
        )
        if begins_anew and lines:
            yield _Paragraph(lines=tuple(lines), first_line=first_line)
            lines = []
        if heading is not None:
            yield _Paragraph(lines=(line[heading.end() :],), first_line=number, is_heading=True)
            continue

        if line and not is_underline:
            first_line = first_line if lines else number
            lines.append(line)

    if lines:
        yield _Paragraph(lines=tuple(lines), first_line=first_line)


def _iter_prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a document, from 1 and without what they are indented by; code becomes empty lines."""
    fence = ""
    literal_indent: int | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        whole = raw[:_MAX_LINE].expandtabs()
        line = whole.strip()
        indent = len(whole) - len(whole.lstrip())

        opened = _FENCE.match(line)
        if opened is not None and (not fence or line.startswith(fence)):
            fence = "" if fence else opened[0]
            line = ""
        if line and literal_indent is not None and indent <= literal_indent:
            literal_indent = None
        if fence or literal_indent is not None or _CODE.match(line):
            yield number, ""
            continue

        if _LITERAL_BELOW.fullmatch(line):
            literal_indent = indent
            line = "" if line.startswith(".. ") else line
        yield number, _DIRECTIVE.sub("", line, count=1)


def _split(paragraph: _Paragraph) -> Iterator[tuple[str, int]]:
    """Yield the sentences of a paragraph as plain text, each with the line that it begins on."""
    text = "\n".join(paragraph.lines)[:_MAX_PARAGRAPH]
    starts = [0]
    for end in _END.finditer(text):
        if not _ABBREVIATION.search(text, max(0, end.start() - 8), end.start()):
            starts.append(end.end())

    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        sentence = _remove_markup(text[start:stop])
        if sentence:
            yield sentence, paragraph.first_line + text.count("\n", 0, start)


def _remove_markup(text: str) -> str:
    """Return a sentence as plain text in one line."""
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)

    text = _ITEM.sub("", text, count=1) if _ITEM.match(text) else text
    return " ".join(text.split()).strip("|> ")
