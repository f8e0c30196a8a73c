"""What a package's own tests need, as its sdist says: extras, dependency groups (PEP 735), requirements files."""

from __future__ import annotations

import re
import tarfile
import tomllib
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

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


def find_test_requirements(sdist: Path, more: Iterable[str] = ()) -> tuple[str, ...] | None:
    """Return the requirements of an sdist's tests (PEP 508), or None where it has no tests.

    Args:
        sdist: a tar archive.
        more: requirements of the matrix.
    """
    try:
        with tarfile.open(sdist) as archive:
            members = {
                member.name: member
                for member in archive
                if member.isfile() and member.size < _MAX_BYTES
            }
            if not any(_TESTS.match(name) for name in members):
                return None
            texts = {
                name: _text(archive, member)
                for name, member in members.items()
                if _is_test_name(name)
            }
    except (OSError, tarfile.TarError, EOFError):
        return None
    found: dict[str, str] = {}
    for name, text in texts.items():
        listed = (
            _pyproject_requirements(text) if name.endswith("pyproject.toml") else _parse_lines(text)
        )
        for requirement in listed:
            found.setdefault(canonicalize_name(requirement.name), str(requirement))
    kept = [text for name, text in found.items() if name not in _DRIVERS]
    return tuple(dict.fromkeys((*kept, *more)))


def _is_test_name(name: str) -> bool:
    return bool(_FILES.match(name)) or re.fullmatch(r"[^/]+/pyproject\.toml", name) is not None


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return "" if file is None else file.read().decode(errors="replace")


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
