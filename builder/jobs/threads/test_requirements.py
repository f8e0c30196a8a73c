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

# Extras and dependency groups that projects keep their tests' requirements in, by convention.
_TEST_NAMES = frozenset({"test", "tests", "testing", "pytest", "dev"})

_PROJECT_FILE = re.compile(r"^[^/]+/pyproject\.toml$")
_REQUIREMENTS_FILE = re.compile(
    r"^[^/]+/(?:(?:tests?|requirements)/)?(?:[\w-]*requirements[\w-]*|tests?|pytest|ci)\.(?:txt|in)$"
)
_TEST_FILE = re.compile(r"^[^/]+/(?:(?:tests?|testing)/.*\.py|test[^/]*\.py)$")

# What drives tests without being needed by them; their options are left out as well.
_DRIVERS = frozenset({
    "pytest", "pytest-run-parallel", "pytest-cov", "coverage", "pytest-xdist", "tox", "nox", "ruff", "mypy", "black",
    "flake8",
    "isort", "pre-commit", "sphinx", "build", "twine", "wheel", "setuptools", "cython", "pip-tools", "pytest-codspeed",
})  # fmt: skip

_MAX_BYTES = 1 << 20  # far more than anybody writes by hand; a larger file states no requirements


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
        has_tests = has_tests or _TEST_FILE.match(member.name) is not None
        if _PROJECT_FILE.match(member.name) or _REQUIREMENTS_FILE.match(member.name):
            texts[member.name] = member.read(_MAX_BYTES).decode(errors="replace")

    return texts if has_tests else None


def _pyproject_requirements(text: str) -> Iterator[Requirement]:
    """Find the requirements in the extras and dependency groups of a pyproject.toml that are named after tests."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    project = data.get("project")
    extras = project.get("optional-dependencies") if isinstance(project, dict) else None
    for table in (extras, data.get("dependency-groups")):
        for name, items in _table_items(table):
            if name.lower() in _TEST_NAMES and isinstance(items, list):
                lines = [item for item in items if isinstance(item, str)]
                yield from _parse_lines("\n".join(lines))


def _table_items(table: object) -> list[tuple[str, object]]:
    if not isinstance(table, dict):
        return []  # a project that is not in order says nothing

    return [(str(name), value) for name, value in table.items()]


def _parse_lines(text: str) -> Iterator[Requirement]:
    """Find the requirements among lines; options and references to other files are left out."""
    for line in text.splitlines():
        content = line.split(" #")[0].strip()
        is_requirement = content and not content.startswith(("#", "-"))
        if not is_requirement:
            continue

        try:
            requirement = Requirement(content)
        except InvalidRequirement:
            continue

        is_for_another_system = requirement.marker is not None and not requirement.marker.evaluate()
        if requirement.url is None and not is_for_another_system:
            requirement.marker = None
            yield requirement
