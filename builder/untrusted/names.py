"""Names and hashes that come from outside, each of one validated type.

Whatever becomes a path, a part of an address or a part of a line of a file is of one of these types first. They are
made by the functions here alone, so mypy shows where a text that nobody looked at would be used as one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, NewType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version
from pydantic import AfterValidator

from builder.untrusted.text import show

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

FileName = NewType("FileName", str)
"""The name of a file in a folder: no path, no line break, nothing that a terminal or an editor hides."""

ProjectName = NewType("ProjectName", str)
"""The normalized name of a project (PEP 503): `zope.interface` is `zope-interface`."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_PROJECT_NAME = re.compile(r"[A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9]", re.IGNORECASE | re.ASCII)
"""A valid name (PEP 508)."""

_DISTRIBUTION_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*")
"""Characters in names of sdists and wheels: those of names, versions and tags (PEP 427, 440, 625), and no others.

So the name of a wheel can neither be an option of a program (`-r`) nor end a quoted text."""

_WHEEL_PARTS = (5, 6)  # with and without a build tag (PEP 427)

_MAX_NAME_BYTES = 255
"""Longest name of a file that Linux' file systems take."""

_MAX_PROJECT_NAME = 128
"""Longest name of a project: it has to fit into file names beside a version and tags. Far above any; not measured."""

_MAX_VERSION = 128
"""Longest version, for the same reason. It also bounds how long it takes to parse one."""

MAX_REQUIREMENT = 4096
"""Longest requirement, in characters; not measured. It bounds how deep a marker can be, and how long parsing takes."""

_SEPARATORS = frozenset("/\\")
"""What parts a path on any system: a wheel is unpacked on others than this one."""


class UntrustedNameError(ValueError):
    """A text from outside is not the name or hash that was expected. The text says what was observed, and where."""

    def __init__(self, expected: str, observed: object, where: str) -> None:
        """Make the message.

        Args:
            expected: what would be right.
            observed: what was there.
            where: the page, file or field that it was in; empty where the caller says so.
        """
        place = f"{where}: " if where else ""
        super().__init__(f"{place}expected {expected}, not {show(observed)}")


def parse_sha256(text: object, where: str = "") -> Sha256:
    """Return a sha256 in hexadecimal digits.

    Args:
        text: what came from outside.
        where: the page, file or field that it was in, for the message.

    Raises:
        UntrustedNameError: it is none. Upper case is none, either: a hash names a file, and has one name.
    """
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise UntrustedNameError("a sha256 (64 digits 0-9 and a-f)", text, where)
    return Sha256(text)


def parse_file_name(text: object, where: str = "") -> FileName:
    """Return the name of a file: one part of a path, which leads neither up nor down.

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is empty, `.` or `..`, too long, or has a separator or a character that cannot be seen.
    """
    if not isinstance(text, str) or text in {"", ".", ".."}:
        raise UntrustedNameError("the name of a file", text, where)

    is_path = not _SEPARATORS.isdisjoint(text)
    if is_path:
        raise UntrustedNameError("the name of a file without / and \\", text, where)

    # Controls, line breaks, surrogates, and what turns the direction of text round or is not seen at all.
    if not text.isprintable():
        raise UntrustedNameError("the name of a file in printable characters", text, where)

    if len(text.encode()) > _MAX_NAME_BYTES:
        raise UntrustedNameError(
            f"the name of a file of at most {_MAX_NAME_BYTES} bytes", text, where
        )
    return FileName(text)


def parse_distribution_name(text: object, where: str = "") -> FileName:
    """Return the file name of an sdist or a wheel.

    A wheel's has to be one that pip takes (PEP 427). Of an sdist's the characters are checked and not the parts:
    those from before PEP 625 are still on indexes.

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is no file name, or has a character that none of these has.
    """
    name = parse_file_name(text, where)
    if not _DISTRIBUTION_NAME.fullmatch(name):
        raise UntrustedNameError(
            "the name of an sdist or wheel (letters, digits and . _ + ! -)", name, where
        )
    if name.endswith(".whl"):
        _check_wheel_name(name, where)
    return name


def parse_wheel_name(text: object, where: str = "") -> FileName:
    """Return the file name of a wheel, which `packaging.utils.parse_wheel_filename` takes (PEP 427).

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is no wheel's name.
    """
    name = parse_file_name(text, where)
    if not _DISTRIBUTION_NAME.fullmatch(name):
        raise UntrustedNameError("the name of a wheel (letters, digits and . _ + ! -)", name, where)
    _check_wheel_name(name, where)
    return name


def _check_wheel_name(name: str, where: str) -> None:
    """Go on if a file name without odd characters is a wheel's.

    Raises:
        UntrustedNameError: it is not.
    """
    if not _is_wheel_name(name):
        raise UntrustedNameError(
            "the name of a wheel (NAME-VERSION-PYTHON-ABI-PLATFORM.whl)", name, where
        )


def _is_wheel_name(name: str) -> bool:
    """Return whether a wheel's name has the parts that it has to have, each as packaging takes it.

    Of the thousands of wheels of a project most have the same parts, and what packaging says of one is remembered.
    """
    if not name.endswith(".whl"):
        return False
    parts = name.removesuffix(".whl").split("-")
    if len(parts) not in _WHEEL_PARTS:
        return False

    project, version, *build, python, abi, platform = parts
    if build and not _takes_wheel(f"x-1-{build[0]}-py3-none-any.whl"):
        return False
    return _takes_wheel(f"{project}-{version}-py3-none-any.whl") and _takes_wheel(
        f"x-1-{python}-{abi}-{platform}.whl"
    )


@lru_cache(maxsize=65536)
def _takes_wheel(name: str) -> bool:
    try:
        parse_wheel_filename(name)
    except ValueError:  # an odd version has more digits than Python takes for a number
        return False
    return True


def parse_project_name(text: object, where: str = "") -> ProjectName:
    """Return the normalized name of a project: `Zope.Interface` -> `zope-interface` (PEP 503, 508).

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is no name.
    """
    if not isinstance(text, str) or not _PROJECT_NAME.fullmatch(text):
        raise UntrustedNameError("the name of a project (PEP 508)", text, where)
    if len(text) > _MAX_PROJECT_NAME:
        raise UntrustedNameError(
            f"the name of a project of at most {_MAX_PROJECT_NAME} characters", text, where
        )
    return ProjectName(str(canonicalize_name(text)))


def parse_version(text: object, where: str = "") -> Version:
    """Return a version (PEP 440). Its `str()` is normalized: it has no white space and no other digits than ASCII's.

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is none.
    """
    checked = _check_length(text, _MAX_VERSION, "a version", "PEP 440", where)
    try:
        version = Version(checked)
    except ValueError:
        raise UntrustedNameError("a version (PEP 440)", text, where) from None

    # Normalized, `1-1` is `1.post1`: whoever reads that again has to take it.
    if len(str(version)) > _MAX_VERSION:
        raise UntrustedNameError(
            f"a version of at most {_MAX_VERSION} characters (PEP 440)", text, where
        )
    return version


def parse_requirement(text: object, where: str = "") -> Requirement:
    """Return a requirement (PEP 508) whose versions can be compared; its marker may still be one that has no answer.

    Args:
        text: what came from outside.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is none.
    """
    checked = _check_length(text, MAX_REQUIREMENT, "a requirement", "PEP 508", where)
    try:
        requirement = Requirement(checked)
        requirement.specifier.contains("0")  # its versions are parsed when they are needed
    except (ValueError, RecursionError):  # RecursionError: brackets inside one another
        raise UntrustedNameError("a requirement (PEP 508)", text, where) from None

    parse_project_name(requirement.name, where)
    return requirement


def _check_length(text: object, most: int, expected: str, standard: str, where: str) -> str:
    """Return a text that is no longer than what is expected can be.

    Args:
        text: what came from outside.
        most: the longest that is taken, in characters.
        expected: what would be right.
        standard: where that is defined.
        where: as for `parse_sha256`.

    Raises:
        UntrustedNameError: it is longer, or no text.
    """
    if not isinstance(text, str) or len(text) > most:
        expected_text = f"{expected} of at most {most} characters ({standard})"
        raise UntrustedNameError(expected_text, text, where)
    return text


Sha256Field = Annotated[Sha256, AfterValidator(parse_sha256)]
"""A sha256 as a field of a pydantic model."""

FileNameField = Annotated[FileName, AfterValidator(parse_file_name)]
"""The name of a file as a field of a pydantic model."""

ProjectNameField = Annotated[ProjectName, AfterValidator(parse_project_name)]
"""The name of a project as a field of a pydantic model; what the model has is normalized."""
