"""A file's text and its requirements, checked for size and grammar. Every complaint names its place."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

import tomli
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from builder.errors import DependencyFileError
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_BYTES = 32 << 20
"""Largest file that is read: ten times a big monorepo's lock file."""

LIMIT_DIGITS = 1000
"""Longest number that is read: Python refuses to parse larger ones, with an error that `packaging` lets through."""

_MAX_SHOWN_CHARS = 120
"""Longest text from a file in a message: a line of it, so that a hostile file cannot fill the terminal."""

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")
"""User and password of an address, of which either may be a secret: some services take a token as the user."""

_TOO_LONG = re.compile(rf"[0-9]{{{LIMIT_DIGITS + 1}}}")

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
"""The encodings that a file can say it has; `>` in PowerShell 5 writes UTF-16."""


def read_text(path: Path) -> str:
    """Return the text of a file, decoded by its byte order mark or else as UTF-8, and checked for size.

    Raises:
        DependencyFileError: it is not there, too large, not in its encoding, or has a number of absurd length.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT_BYTES + 1)
    # The library's own traceback would only hide the message: `from None`, here and below.
    except FileNotFoundError:
        raise DependencyFileError(path, [("", "there is no such file")]) from None
    except OSError as error:
        raise DependencyFileError(path, [("", f"cannot be read: {error.strerror}")]) from None
    if len(content) > LIMIT_BYTES:
        text = f"is larger than {LIMIT_BYTES >> 20} MiB: no list of dependencies is"
        raise DependencyFileError(path, [("", text)])

    text = _decode(path, content)
    if match := _TOO_LONG.search(text):
        line = text.count("\n", 0, match.start()) + 1
        why = f"has a number of more than {LIMIT_DIGITS} digits"
        raise DependencyFileError(path, [(f"line {line}", why)])
    return text


def _decode(path: Path, content: bytes) -> str:
    """Return the text of a file's content.

    Raises:
        DependencyFileError: it is not in the encoding that its byte order mark says, or has none and is not UTF-8.
    """
    encoding = "utf-8"
    for mark, marked_encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            encoding = marked_encoding
            break

    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = encoding.removesuffix("-sig").upper()
        raise DependencyFileError(path, [(f"line {line}", f"is not {name}")]) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the parsed content of a TOML file (TOML 1.1, whose inline tables may have several lines).

    Raises:
        DependencyFileError: it cannot be read or is not TOML.
    """
    text = read_text(path)
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise DependencyFileError(path, [("", f"is not TOML: {error}")]) from None
    except (RecursionError, ValueError, OverflowError) as error:
        why = f"is no TOML that can be read: {shorten(error)}"
        raise DependencyFileError(path, [("", why)]) from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the parsed content of a JSON file that has an object.

    Raises:
        DependencyFileError: it cannot be read, is not JSON, or is no object.
    """
    text = read_text(path)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}"
        raise DependencyFileError(path, [(where, f"is not JSON: {error.msg}")]) from None
    except RecursionError:
        raise DependencyFileError(path, [("", "is nested too deeply")]) from None
    if not isinstance(data, dict):
        raise DependencyFileError(path, [("", "expected an object")])
    return data


def parse_requirement(path: Path, where: str, text: str) -> Requirement:
    """Return a text parsed as a requirement (PEP 508), its name and versions checked; `where` is its place, for errors.

    Raises:
        DependencyFileError: it is none.
    """
    try:
        parsed = Requirement(text)
        canonicalize_name(parsed.name, validate=True)
        for clause in parsed.specifier:
            # `===` takes any text (PEP 440), which no index can sort.
            Version(clause.version.removesuffix(".*"))
    except (InvalidRequirement, InvalidName, InvalidVersion, RecursionError) as error:
        first_line, *_ = str(error).splitlines() or [""]
        why = f"{shorten(text)!r} is no requirement: {shorten(first_line)}"
        raise DependencyFileError(path, [(where, why)]) from None
    return parsed


def parse_name(path: Path, where: str, text: str) -> str:
    """Return a package's canonical name (PEP 503); `where` is the name's place in the file, for the error.

    Raises:
        DependencyFileError: it is none.
    """
    try:
        return str(canonicalize_name(text, validate=True))
    except InvalidName:
        why = f"{shorten(text)!r} is no valid name for a package"
        raise DependencyFileError(path, [(where, why)]) from None


def escape_control_characters(text: object) -> str:
    """Return the text in one line with each character that cannot be seen as its escape."""
    return clean_line(str(text))


def shorten(text: object) -> str:
    """Return text from a file as a message may show it: at most `_MAX_SHOWN_CHARS` long, in one line.

    Control characters are escaped, and the credentials of addresses are hidden.
    """
    clean = _CREDENTIALS.sub("****@", escape_control_characters(text))
    if len(clean) <= _MAX_SHOWN_CHARS:
        return clean
    return clean[: _MAX_SHOWN_CHARS - 1] + "…"
