"""Which modules import a native module, by their text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.inside.load.importers import find_importers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "line",
    [
        "from ._core import f",
        "from a.b._core import f  # noqa",
        "    from . import _core",
        "import a.b._core",
        "from . import x, _core as core",
    ],
)
def test_an_import_is_found(tmp_path: Path, line: str):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "user.py").write_text(f'"""About _core."""\n{line}\n')
    assert find_importers(str(tmp_path), "a.b._core") == ["a.b.user"]


@pytest.mark.parametrize("line", ["_core = 1", "# from ._core import f", "from ._core2 import f"])
def test_nothing_else_is(tmp_path: Path, line: str):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "user.py").write_text(f"{line}\n")
    assert find_importers(str(tmp_path), "a._core") == []


def test_the_nearest_come_first_and_a_package_is_named_by_its_folder(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for file in ("a/x.py", "a/y.py", "a/b/__init__.py", "a/b/z.py"):
        (tmp_path / file).write_text("from a.b import _core\n")
    assert find_importers(str(tmp_path), "a.b._core") == ["a.b", "a.b.z", "a.x"]


def test_links_are_not_followed(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "outside.py").write_text("from a import _core\n")
    (tmp_path / "a" / "x.py").symlink_to(tmp_path / "outside.py")
    assert find_importers(str(tmp_path), "a._core") == []
