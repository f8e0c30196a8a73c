"""The requirements of a package's own tests, as its sdist states them.

They are looked for in extras and dependency groups (PEP 735) of its pyproject.toml, and in requirements files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.distributions.members import NotAnSdistError, iter_members
from builder.untrusted.reading import parse_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Extras and dependency groups that projects keep their tests' requirements in, by convention.
_TEST_NAMES = frozenset({"test", "tests", "testing", "pytest", "dev"})

_PROJECT_FILE = re.compile(r"^[^/]+/pyproject\.toml$")
_REQUIREMENTS_FILE = re.compile(
    r"^[^/]+/(?:(?i:tests?|requirements)/)?(?:[\w-]*requirements[\w-]*|tests?|pytest|ci)\.(?:txt|in)$"
)
_TEST_FILE = re.compile(r"^[^/]+/(?:(?i:tests?|testing)/.*\.py|test[^/]*\.py)$")

# Tools that run tests, measure or check, but that no test imports. The farm brings its own pytest.
_DRIVERS = frozenset({
    "pytest", "pytest-run-parallel", "pytest-cov", "coverage", "pytest-xdist", "tox", "nox", "ruff", "mypy", "black",
    "flake8",
    "isort", "pre-commit", "sphinx", "build", "twine", "wheel", "setuptools", "cython", "pip-tools", "pytest-codspeed",
})  # fmt: skip

_MAX_LINE_CHARS = 2000  # of one requirement; parsing takes time and depth by its length
_MAX_LINES = 5000  # of one file, or one group; each is parsed
_MAX_BYTES = 1 << 20
"""Of all files together, far more than anybody writes by hand; one that does not fit states no requirements."""


def find_test_requirements(
    sdist: Path, filename: str, more: Iterable[str] = ()
) -> tuple[str, ...] | None:
    """Return the requirements (PEP 508) of the tests in an sdist: `('hypothesis>=6', 'numpy')`.

    None where the sdist has no tests or cannot be read; empty where the tests need nothing. Of several requirements for
    one package, the first that is found counts. Tools that no test imports, such as tox, are left out.

    Args:
        sdist: the archive.
        filename: its file name, whose extension says which format it has.
        more: further requirements, from the matrix.
    """
    try:
        texts = _read_requirement_files(sdist, filename)
    except NotAnSdistError:
        return None
    if texts is None:
        return None

    stated: dict[str, str] = {}
    for path, text in texts.items():
        is_project = path.endswith("pyproject.toml")
        requirements = _pyproject_requirements(text) if is_project else _parse_lines(text)
        for requirement in requirements:
            stated.setdefault(canonicalize_name(requirement.name), str(requirement))

    needed = [text for name, text in stated.items() if name not in _DRIVERS]
    return tuple(dict.fromkeys((*needed, *more)))


def _read_requirement_files(sdist: Path, filename: str) -> dict[str, str] | None:
    """Return the text of every file of an sdist that may state requirements, by path; None where it has no tests.

    Raises:
        NotAnSdistError: it cannot be read.
    """
    has_tests = False
    texts: dict[str, str] = {}
    left = _MAX_BYTES
    for member in iter_members(sdist, filename):
        if member.size >= left:
            continue
        has_tests = has_tests or _TEST_FILE.match(member.name) is not None
        if _PROJECT_FILE.match(member.name) or _REQUIREMENTS_FILE.match(member.name):
            texts[member.name] = member.read(_MAX_BYTES).decode(errors="replace")
            left -= member.size

    return texts if has_tests else None


def _pyproject_requirements(text: str) -> Iterator[Requirement]:
    """Iterate over the requirements in those extras and dependency groups of a pyproject.toml that are for tests.

    They are for tests if their name says so (`test`, `dev`, ...). A file that is not valid TOML states none. An item of
    a group that is no text, such as a reference to another group, is skipped.
    """
    try:
        data = parse_toml(text, "pyproject.toml")
    except ValueError:
        return

    project = data.get("project")
    extras = project.get("optional-dependencies") if isinstance(project, dict) else None
    for table in (extras, data.get("dependency-groups")):
        for name, items in _table_items(table):
            if name.lower() in _TEST_NAMES and isinstance(items, list):
                lines = [item for item in items if isinstance(item, str)]
                yield from _parse_lines("\n".join(lines))


def _table_items(table: object) -> list[tuple[str, object]]:
    """Return the names and values of a TOML table; none where it is missing or something else stands in its place."""
    if not isinstance(table, dict):
        return []

    return [(str(name), value) for name, value in table.items()]


def _parse_lines(text: str) -> Iterator[Requirement]:
    """Iterate over the requirements among the lines of a requirements file.

    Comments, options (`-r other.txt`), lines that are no requirement, requirements given by address and those for other
    systems are skipped. `'numpy>=2; python_version>"3.8"  # fast' -> 'numpy>=2'`
    """
    for line in text.splitlines()[:_MAX_LINES]:
        content = line.split(" #")[0].strip()
        is_requirement = content and not content.startswith(("#", "-"))
        if not is_requirement or len(content) > _MAX_LINE_CHARS:
            continue

        try:
            requirement = Requirement(content)
        except (InvalidRequirement, RecursionError):
            continue  # such as a path, which pip takes but PEP 508 does not know

        if requirement.url is None and _is_for_this_system(requirement):
            requirement.marker = None
            yield requirement


def _is_for_this_system(requirement: Requirement) -> bool:
    """Return whether a requirement's marker holds; False for one that compares what cannot be compared."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate()
    except ValueError:  # UndefinedComparison and the like, and versions that are none
        return False
