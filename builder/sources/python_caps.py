"""Whether `requires-python` leaves a Python out of a release, once the matrix's patches are applied.

Nothing is patched on this machine: what a patch does to the line that states it is read from the patch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

_PATCH_LIMIT_BYTES = 4 << 20
"""Most that is read of a patch: they are written by hand, so far above any; not measured."""

_STATEMENT = re.compile(
    r"""^(?P<sign>[+-])[^\S\n]*["']?(?:requires[-_]python|python_requires|Requires-Python)["']?\s*[=:]\s*["']?(?P<specifier>[^"'\n]*)""",
    re.MULTILINE | re.IGNORECASE,
)
"""A line of a patch that states it, in pyproject.toml, setup.py, setup.cfg or PKG-INFO."""


def allows_python(stated: str, python: Version) -> bool:
    """Return whether a `requires-python` lets a Python have a release; what cannot be read does, as for pip."""
    try:
        return SpecifierSet(stated).contains(python, prereleases=True)
    except ValueError:
        return True


def lifts_cap(patches: Iterable[str], python: Version) -> bool:
    """Return whether patches change `requires-python` so that it lets a Python have the release.

    Of several lines that state it, all have to; a line that is taken away, with none in its place, leaves no cap.

    Args:
        patches: their texts.
        python: the interpreter's version.
    """
    removed = 0
    added: list[str] = []
    for text in patches:
        for match in _STATEMENT.finditer(text[:_PATCH_LIMIT_BYTES]):
            if match["sign"] == "-":
                removed += 1
            else:
                added.append(match["specifier"].strip().rstrip(","))

    if added:
        return all(allows_python(specifier, python) for specifier in added)
    return removed > 0


def describe_exclusion(stated: str, python: Version, *, is_patched: bool) -> str:
    """Return that a release's `requires-python` leaves a Python out, and how a patch lifts it.

    Args:
        stated: the `requires-python`.
        python: the interpreter's version.
        is_patched: whether the matrix has patches for the release.
    """
    text = f"requires-python is {stated!r}, which leaves Python {python} out"
    if is_patched:
        return f"{text}; no patch of the matrix changes that line"
    return text
