"""Finds the Python modules of a package that import one of its native modules, by the text of their lines."""

from __future__ import annotations

import re
from pathlib import Path

from ..supervise.folders import read_file

_MOST_IMPORTERS = 3  # each is tried, in a process of its own
_MOST_BYTES = 1 << 20  # of a file that is read


def find_importers(site: str, native: str) -> list[str]:
    """Return the names of some modules that import a native module, those nearest to it first.

    `from ._core import f` in `a/b.py` gives `a.b` for `a._core`. Nothing is parsed: a line that looks like an import of
    that name is enough, for what it names is tried and not believed.

    Args:
        site: folder that packages are installed in.
        native: the native module's dotted name.
    """
    *packages, stem = native.split(".")
    pattern = re.compile(
        rf"^[ \t]*(?:from\s+[\w.]*\b{stem}\s+import\b|(?:from\s+[\w.]+\s+)?import\b[^\n]*\b{stem}\b)",
        re.MULTILINE,
    )
    importers: list[str] = []
    for depth in range(len(packages), 0, -1):
        folder = Path(site, *packages[:depth])
        for file in sorted(folder.glob("*.py")):
            if len(importers) == _MOST_IMPORTERS:
                return importers
            content = read_file(file, _MOST_BYTES) or b""
            if file.stem.isidentifier() and pattern.search(content.decode(errors="replace")):
                importers.append(_name_module(packages[:depth], file.stem))

    return importers


def _name_module(packages: list[str], stem: str) -> str:
    """Return the dotted name of a module; that of its package for `__init__`."""
    return ".".join(packages if stem == "__init__" else [*packages, stem])
