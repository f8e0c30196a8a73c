"""What a project says itself of threads: the classifier in its metadata, and sentences of its README and documents.

All of it comes from whoever made the archive. It is read with bounds, nothing of it is run, and it decides no verdict:
it is quoted beside what was measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.distributions.members import NotAnSdistError, iter_members
from builder.distributions.metadata import (
    METADATA_LIMIT_BYTES,
    NotADistributionError,
    parse_metadata,
    wheel_metadata,
)
from builder.distributions.sentences import Sentence, iter_sentences
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.metadata import RawMetadata

    from builder.distributions.members import Member

MAX_QUOTES = 6
"""Sentences that are kept of a release: what a reader goes through before the findings; not measured."""

MAX_QUOTE = 320
"""Characters of one of them: two long sentences."""

MAX_QUOTED_FILE = 200
"""Characters of the path of the file that it is in."""

_MAX_FILE_BYTES = 1 << 20
"""Largest document that is read. The longest README of the default matrix, with its history, has 0.1 MB."""

_MAX_FILES = 400
_MAX_TOTAL_BYTES = 16 << 20
"""How many documents are read of a release, and how much of them in all. Not measured."""

_MAX_PROGRAMS = 2_000
_MAX_PROGRAM_BYTES = 32 << 20
"""The same of Python's source files, whose docstrings are read."""

_PROGRAM_ENDINGS = (".py", ".pyi", ".pyx")
_PROGRAM_WEIGHT = 3
"""What a sentence of a docstring must weigh at least: there are many more of them than of a README."""

_OWNER = re.compile(
    r"^[ \t]{0,40}(?:cdef[ \t]+class|class|c?p?def)[ \t]+(\w{1,80})", re.MULTILINE | re.ASCII
)
_OWNER_CHARS = 2_000  # how far above a docstring it is looked for

_MAX_CANDIDATES = 500  # sentences that are compared, of a release

_FREE_THREADING = "Programming Language :: Python :: Free Threading"
"""The trove classifier; a grade such as `3 - Stable` may follow."""

MAX_GRADE = 40
"""Characters of a grade, of which `4 - Resilient` is the longest."""

_DOCUMENT_ENDINGS = (".md", ".rst", ".txt", ".markdown")
_DOCUMENT_FOLDERS = frozenset({"doc", "docs", "documentation"})

_NO_STATEMENT = re.compile(
    r"(?:^|[/_.-])(?:change|history|news|release|whats?[-_]?new|licen[cs]e|copying|notice|authors|credits|contribut"
    r"|thanks|todo|security|requirements|code_of_conduct|build/|locale|translations|vendor|third[-_]?party|pep-?[0-9])"
    r"|(?:^|/)(?:tests?|selftest|testing|dev|devel|development|developers?|internals?|benchmarks?|neps|roadmap)(?:/|\.)",
    re.IGNORECASE,
)
"""Files and folders that say what was, who did it or how to help: a fault that was mended years ago states nothing."""

_OTHER_FOLDERS = frozenset(
    {"test", "tests", "testing", "example", "examples", "benchmark", "benchmarks", "tools", "scripts", "ci"}
)  # fmt: skip
_README_RANK, _DESCRIPTION_RANK, _DOCUMENT_RANK, _PROGRAM_RANK = 0, 1, 2, 4
"""How near a file is to users: of sentences that say as much, those of the nearest count. Of documents, those at the
top come before those in a folder of their own."""

_WEIGHT_RANGE = 2
"""How much less than the most telling sentence another may weigh: with a plain statement, hints are left out."""

_HEADED_WEIGHT = 2
"""Of a sentence that stands below a heading about threads and has none of the words."""

_MENTION = re.compile(rb"thread|\bgil\b|interpreter lock|no-?gil", re.IGNORECASE)
"""What a file has at least of which a sentence could be about threads: most are put aside by it."""
_MENTIONED = re.compile(_MENTION.pattern.decode(), re.IGNORECASE)

_SEVERAL_THREADS = (
    r"\b(?:across|between|multiple|several|different|other|two|concurrent|shared?) threads\b"
)
_USE = r"\b(?:call|use[ds]?\b|using\b|shar|access|safe|same time|simultaneous|concurren|modif|mutat|lock)"
_WEIGHTS = (
    (
        3,
        re.compile(
            r"\bthread[- ]?(?:un)?saf|\bfree[- ]?thread|\bno[- ]?gil\b"
            r"|\bwithout (?:the |python's )?(?:gil\b|global interpreter)"
        ),
    ),
    (2, re.compile(rf"{_SEVERAL_THREADS}.{{0,200}}{_USE}|{_USE}.{{0,200}}{_SEVERAL_THREADS}")),
    (
        1,
        re.compile(
            r"\bgil\b|\bglobal interpreter lock\b|\bmulti[- ]?thread"
            r"|\bconcurren[^.]{0,80}\bthread|\bthread[^.]{0,80}\bconcurren"
        ),
    ),
)
"""What sentences about threads have, in lower case, and how much each says of what users may do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """A sentence of a project about threads.

    Attributes:
        file: where it stands: a path in the sdist, or `METADATA` of a wheel.
        line: from 1; 0 where it is not known.
        text: the sentence, without markup, in one line.
        about: the class or function in whose docstring it stands; empty elsewhere.
    """

    file: str
    line: int
    text: str
    about: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadStatement:
    """What a project says of threads.

    Attributes:
        classifier: the grade in its classifier of free threading, such as `3 - Stable`; `stated` where the classifier
            has no grade, and empty where there is none.
        quotes: the sentences that say most, these first.
    """

    classifier: str = ""
    quotes: tuple[Quote, ...] = ()


@dataclass(kw_only=True, slots=True)
class _Candidates:
    """Sentences about threads, each once, with how much they say and how near their file is to users."""

    found: dict[str, tuple[int, int, Quote]] = field(default_factory=dict)

    def add(
        self, sentences: Iterable[Sentence], file: str, file_rank: int, about: str = ""
    ) -> None:
        """Add those that are about threads; the same words count once, where they stood first.

        Args:
            sentences: of one document or docstring.
            file: where they stand.
            file_rank: how near that is to users, the nearest first.
            about: whose docstring it is.
        """
        for sentence in sentences:
            weight = _weigh(sentence)
            if not weight or len(self.found) >= _MAX_CANDIDATES:
                continue

            text = clean_line(_begin_near(sentence.text), MAX_QUOTE)
            quote = Quote(
                file=clean_line(file, MAX_QUOTED_FILE),
                line=sentence.line,
                text=text,
                about=about,
            )
            words = re.sub(r"\W+", " ", text).lower()
            self.found.setdefault(words, (weight, file_rank, quote))

    def has_rank(self, file_rank: int) -> bool:
        """Return whether a file of this rank says something."""
        return any(rank == file_rank for _, rank, _ in self.found.values())

    def choose(self) -> tuple[Quote, ...]:
        """Return the sentences that say most; of equal ones, those of the README first."""
        most = max((weight for weight, _, _ in self.found.values()), default=0)
        telling = [found for found in self.found.values() if found[0] >= most - _WEIGHT_RANGE]
        ranked = sorted(telling, key=lambda found: (-found[0], found[1]))
        return tuple(quote for _, _, quote in ranked[:MAX_QUOTES])


def read_grade(classifiers: Iterable[str]) -> str:
    """Return the grade of free threading that classifiers state; see `ThreadStatement.classifier`.

    Of several the best: they begin with a number, the best with the largest.
    """
    grades: list[str] = []
    for text in classifiers:
        before, separator, grade = text.partition(_FREE_THREADING)
        if separator and not before:
            grades.append(clean_line(grade.removeprefix(" :: "), MAX_GRADE) or "stated")

    numbered = [grade for grade in grades if grade != "stated"]
    return max(numbered or grades, default="")


def read_sdist_statement(sdist: Path, filename: str) -> ThreadStatement:
    """Return what an sdist says of threads; nothing where it cannot be read.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    reading = _SdistReading()
    try:
        for member in iter_members(sdist, filename):
            reading.read(member)
    except (NotAnSdistError, NotADistributionError):
        # What is wrong with it is a finding of its own; what it said before that stands.
        pass

    return reading.conclude()


def read_wheel_statement(wheel: Path) -> ThreadStatement:
    """Return what a wheel says of threads in its METADATA; nothing where it cannot be read."""
    try:
        metadata = wheel_metadata(wheel)
    except NotADistributionError:
        return ThreadStatement()

    found = _Candidates()
    found.add(iter_sentences(metadata.get("description", "")), "METADATA", 0)
    grade = read_grade(metadata.get("classifiers", ()))
    return ThreadStatement(classifier=grade, quotes=_forget_lines(found.choose()))


def _forget_lines(quotes: Iterable[Quote]) -> tuple[Quote, ...]:
    """Return quotes of a description, whose lines are not those of the file it is in."""
    return tuple(Quote(file=quote.file, line=0, text=quote.text) for quote in quotes)


def _iter_description(metadata: RawMetadata, content: bytes) -> Iterator[Sentence]:
    """Yield the sentences of a description about threads, with their lines in PKG-INFO where it is the file's body."""
    head, separator, _ = content.partition(b"\n\n")
    is_body = bool(separator) and b"\nDescription:" not in head
    first_line = head.count(b"\n") + 3 if is_body else 0

    for sentence in iter_sentences(metadata.get("description", "")):
        if _weigh(sentence):
            line = sentence.line + first_line - 1 if is_body else 0
            yield Sentence(text=sentence.text, line=line, is_headed=sentence.is_headed)


class _SdistReading:
    """Reads the members of an sdist one by one, as long as the bounds allow."""

    def __init__(self) -> None:
        self._found = _Candidates()
        self._description: list[Sentence] = []
        self._grade = ""
        self._documents = _Budget(files=_MAX_FILES, total_bytes=_MAX_TOTAL_BYTES)
        self._programs = _Budget(files=_MAX_PROGRAMS, total_bytes=_MAX_PROGRAM_BYTES)

    def read(self, member: Member) -> None:
        """Read a member where it is metadata, a document or a source file of Python; others are left out.

        Raises:
            NotAnSdistError: it is damaged.
            NotADistributionError: it is metadata that cannot be read.
        """
        if member.is_top_file("PKG-INFO"):
            self._read_metadata(member)
            return

        path = member.inner_path or member.name
        rank = _rank_document(path.lower())
        if rank is not None and self._documents.admits(member):
            content = member.read(_MAX_FILE_BYTES)
            self._found.add(_read_sentences(content), path, rank)
        elif _is_program(path.lower()) and self._programs.admits(member):
            content = member.read(_MAX_FILE_BYTES)
            for owner, sentences in _iter_docstrings(content):
                self._found.add(sentences, path, _PROGRAM_RANK, owner)

    def _read_metadata(self, member: Member) -> None:
        content = member.read(METADATA_LIMIT_BYTES)
        metadata = parse_metadata(content, "PKG-INFO")
        self._grade = read_grade(metadata.get("classifiers", ()))
        self._description = list(_iter_description(metadata, content))

    def conclude(self) -> ThreadStatement:
        """Return what was read.

        The description in metadata is mostly the README again, and counts only where that says nothing.
        """
        if not self._found.has_rank(_README_RANK):
            self._found.add(self._description, "PKG-INFO", _DESCRIPTION_RANK)
        return ThreadStatement(classifier=self._grade, quotes=self._found.choose())


@dataclass(kw_only=True, slots=True)
class _Budget:
    """How many files may still be read, and how many bytes of them in all."""

    files: int
    total_bytes: int

    def admits(self, member: Member) -> bool:
        """Return whether a member may be read, and count it."""
        is_admitted = self.files > 0 and member.size <= min(_MAX_FILE_BYTES, self.total_bytes)
        if is_admitted:
            self.files -= 1
            self.total_bytes -= member.size

        return is_admitted


def _rank_document(path: str) -> int | None:
    """Return how near a file is to users, the README first; None where it is no document that states anything."""
    *folders, file_name = path.split("/")
    if _NO_STATEMENT.search(path):
        return None

    if not folders and file_name.startswith("readme"):
        return _README_RANK
    if not file_name.endswith(_DOCUMENT_ENDINGS):
        return None
    if not folders:
        return _DOCUMENT_RANK
    return _DOCUMENT_RANK + 1 if folders[0] in _DOCUMENT_FOLDERS else None


def _is_program(path: str) -> bool:
    """Return whether a file is one of Python's whose docstrings users may read: none of tests, examples and tools."""
    *folders, _ = path.split("/")
    is_inner = folders and _OTHER_FOLDERS.isdisjoint(folders) and not _NO_STATEMENT.search(path)
    return bool(is_inner) and path.endswith(_PROGRAM_ENDINGS)


def _read_sentences(content: bytes) -> Iterator[Sentence]:
    """Return the sentences of a document; none of what is no text."""
    if b"\0" in content or _MENTION.search(content) is None:
        return iter(())
    return iter_sentences(content.decode("utf-8", "replace"))


def _iter_docstrings(content: bytes) -> Iterator[tuple[str, Iterator[Sentence]]]:
    """Yield the docstrings of a source file that say much of threads: whose they are, and their sentences.

    A docstring is what stands between two times three quotes (PEP 257): the program is not parsed.
    """
    if b"thread" not in content or b"\0" in content:
        return

    line = 1
    before = ""
    for number, part in enumerate(content.decode("utf-8", "replace").split('"""')):
        is_docstring = number % 2 == 1
        if is_docstring and "thread" in part:
            owner = _find_owner(before)
            is_private = owner.startswith("_") and not owner.startswith("__")
            if not is_private:
                yield owner, _select_strong(part, line)
        before = part
        line += part.count("\n")


def _find_owner(before: str) -> str:
    """Return the class or function that a docstring is of, by what stands above it; empty where it is a module's."""
    owners = _OWNER.findall(before[-_OWNER_CHARS:])
    return owners[-1] if owners else ""


def _select_strong(docstring: str, first_line: int) -> Iterator[Sentence]:
    """Yield the sentences of a docstring that say much of threads, with their lines in its file."""
    for sentence in iter_sentences(docstring):
        if _weigh(sentence) >= _PROGRAM_WEIGHT:
            yield Sentence(text=sentence.text, line=first_line + sentence.line - 1)


def _begin_near(text: str) -> str:
    """Return a sentence from so near before what it says of threads that this is not cut away."""
    match = _MENTIONED.search(text)
    if match is None or match.start() <= MAX_QUOTE // 2:
        return text

    begin = text.rfind(" ", 0, match.start() - MAX_QUOTE // 4)
    return f"…{text[begin:]}" if begin > 0 else text


def _weigh(sentence: Sentence) -> int:
    """Return how much a sentence says of what threads may do; 0 where it is about something else.

    What stands first below a heading about threads is about them, whatever its words are.
    """
    text = sentence.text.lower()
    if text.endswith(("?", ":")):
        return 0  # a question, or the beginning of a list

    for weight, pattern in _WEIGHTS:
        if pattern.search(text):
            return weight + sentence.is_headed

    return _HEADED_WEIGHT if sentence.is_headed else 0
