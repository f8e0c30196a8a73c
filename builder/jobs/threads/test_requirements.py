"""What a package's own tests need, as its sdist says: extras, dependency groups (PEP 735), requirements files."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.distributions.members import NotAnSdistError, iter_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_TEST_NAMES = frozenset({"test", "tests", "testing", "pytest", "dev"})
_FILES = re.compile(
    r"^[^/]+/(?:(?:tests?|requirements)/)?(?:[\w-]*requirements[\w-]*|tests?|pytest|ci)\.(?:txt|in)$"
)
_TESTS = re.compile(r"^[^/]+/(?:(?:tests?|testing)/.*\.py|test[^/]*\.py)$")
# What drives tests without being needed by them; their options are left out as well.
_DRIVERS = frozenset({
    "pytest", "pytest-run-parallel", "pytest-cov", "coverage", "pytest-xdist", "tox", "nox", "ruff", "mypy", "black",
    "flake8",
    "isort", "pre-commit", "sphinx", "build", "twine", "wheel", "setuptools", "cython", "pip-tools", "pytest-codspeed",
})  # fmt: skip
_MAX_BYTES = 1 << 20


def find_test_requirements(
    sdist: Path, filename: str, more: Iterable[str] = ()
) -> tuple[str, ...] | None:
    """Return the requirements of an sdist's tests (PEP 508), or None where it has no tests.

    Args:
        sdist: the archive.
        filename: what it is called, which tells its format.
        more: requirements of the matrix.
    """
    try:
        texts = _read_requirement_files(sdist, filename)
    except NotAnSdistError:
        return None
    if texts is None:
        return None

    found: dict[str, str] = {}
    for name, text in texts.items():
        is_project = name.endswith("pyproject.toml")
        listed = _pyproject_requirements(text) if is_project else _parse_lines(text)
        for requirement in listed:
            found.setdefault(canonicalize_name(requirement.name), str(requirement))

    needed = [text for name, text in found.items() if name not in _DRIVERS]
    return tuple(dict.fromkeys((*needed, *more)))


def _read_requirement_files(sdist: Path, filename: str) -> dict[str, str] | None:
    """Return by name the text of every file that may state requirements, or None where there are no tests."""
    has_tests = False
    texts: dict[str, str] = {}
    for member in iter_members(sdist, filename):
        if member.size >= _MAX_BYTES:
            continue
        has_tests = has_tests or _TESTS.match(member.name) is not None
        if _is_test_name(member.name):
            texts[member.name] = member.read(_MAX_BYTES).decode(errors="replace")

    return texts if has_tests else None


def _is_test_name(name: str) -> bool:
    return bool(_FILES.match(name)) or re.fullmatch(r"[^/]+/pyproject\.toml", name) is not None


def _pyproject_requirements(text: str) -> Iterator[Requirement]:
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    project = data.get("project")
    extras = project.get("optional-dependencies") if isinstance(project, dict) else None
    for name, listed in (*_items(extras), *_items(data.get("dependency-groups"))):
        if name.lower() in _TEST_NAMES and isinstance(listed, list):
            yield from _parse_lines("\n".join(item for item in listed if isinstance(item, str)))


def _items(table: object) -> list[tuple[str, object]]:
    return [(str(name), value) for name, value in table.items()] if isinstance(table, dict) else []


def _parse_lines(text: str) -> Iterator[Requirement]:
    """Give the requirements among lines; options and references to other files are left out."""
    for line in text.splitlines():
        plain = line.split(" #")[0].strip()
        if plain and not plain.startswith(("#", "-")):
            try:
                requirement = Requirement(plain)
            except InvalidRequirement:
                continue
            if requirement.url is None and (
                requirement.marker is None or requirement.marker.evaluate()
            ):
                requirement.marker = None
                yield requirement
