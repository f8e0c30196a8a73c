"""The patches of the matrix, read: what a package's sdist is changed by before it is built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from builder.sources.model import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.matrix import Matrix, Package
    from builder.sources.model import Source


def read_patch_texts(matrix: Matrix, package: Package) -> tuple[str, ...]:
    """Return the texts of a package's patches; those that cannot be read are left out, and are a fault later."""
    texts: list[str] = []
    for path in package.patches:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            texts.append((matrix.root / path).read_text())

    return tuple(texts)


def read_patches(
    matrix: Matrix, found: Mapping[str, Source]
) -> tuple[dict[str, tuple[str, ...]], dict[str, Fault]]:
    """Return the texts of every package's patches, and a fault for each package with a patch that cannot be read.

    Both are by name of the package. A package outside the matrix has no patches.
    """
    texts: dict[str, tuple[str, ...]] = {}
    faults: dict[str, Fault] = {}
    for name, source in found.items():
        package = matrix.packages.get(name)
        paths = package.patches if package else ()
        try:
            texts[name] = tuple((matrix.root / path).read_text() for path in paths)
        except (OSError, UnicodeDecodeError) as error:
            faults[name] = Fault(name=name, code="WF108", detail=str(error), version=source.version)

    return texts, faults
