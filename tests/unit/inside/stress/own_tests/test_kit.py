"""What of the requirements of own tests is installed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.inside.stress.own_tests import kit
from builder.inside.stress.own_tests.pytest_plugin import Plugin
from builder.inside.stress.package import unpacking


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    contents = {
        "fake_clock-1.0-py3-none-any.whl": ["clock.py"],
        "heavy-1.0-py3-none-any.whl": ["heavy/__init__.py", "heavy-1.0.data/scripts/clock"],
        "fixtures-1.0-py3-none-any.whl": [
            "unrelated.py",
            "fixtures-1.0.dist-info/entry_points.txt",
        ],
        "_fast-1.0-cp314-cp314t-linux_x86_64.whl": ["_fast.cpython-314t-x86_64-linux-gnu.so"],
    }
    for name, paths in contents.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path in paths:
                archive.writestr(path, "[pytest11]\nfixtures = unrelated\n")
    return folder


def test_what_tests_import_is_needed_and_so_are_plugins(tmp_path: Path, wheels: Path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text("import os, clock as c\n")
    (tests / "test_a.py").write_text("def test_a():\n    from _fast.sub import f\n")
    asked = ["heavy", "Fake.Clock>=1", "fixtures==1.0", "_fast", "gone"]
    assert kit.choose(tests, wheels, asked) == [1, 2, 3]


def test_what_is_there_in_another_version_only_is_left_out(tmp_path: Path, wheels: Path):
    """Pip would refuse all requirements for one that it cannot find."""
    (tmp_path / "test_a.py").write_text("import clock, heavy, _fast\n")
    asked = ["fake-clock==2.0", "heavy==1.0.0; python_version > '3'", "_fast==1.*"]
    assert kit.choose(tmp_path, wheels, asked) == [1, 2]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c as d\n", {"a", "c"}),
        ("    from a.b import (c,\n  d)\n", {"a"}),
        ("x = pytest.importorskip('a.b')\n", {"a"}),
        ("pytest_plugins = [\n    'a.b',\n    \"c\",\n]\nx = 'd'\n", {"a", "c"}),
        ("important = 1\nfrom_here = 2\n", set()),
    ],
)
def test_imports_are_found_in_source_text(source: str, names: set[str]):
    assert set(kit.list_imports(source)) == names


@pytest.mark.parametrize(
    ("ended", "chosen"),
    [
        ((0, "[1]\n"), ["b"]),
        ((1, "[1]\n"), ["a", "b"]),
        ((0, "noise\n"), ["a", "b"]),
        ((0, "7\n"), ["a", "b"]),
        ((None, ""), ["a", "b"]),
    ],
)
def test_where_it_cannot_be_told_everything_is_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: tuple[int, str], chosen: list[str]
):
    monkeypatch.setattr(unpacking, "run_apart", lambda *_: ended)
    account: Any = SimpleNamespace()
    assert kit.choose_requirements(account, tmp_path, "/wheels", ["a", "b"]) == chosen


def test_the_program_prints_the_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wheels: Path, capsys: Any
):
    (tmp_path / "test_a.py").write_text("import heavy\n")
    monkeypatch.setattr("sys.argv", ["kit", str(tmp_path), str(wheels), "heavy", "_fast"])
    kit.main()
    assert json.loads(capsys.readouterr().out) == [0]


def test_others_find_that_there_is_no_debugger():
    """pytest's plugin for unittest, for one, asks for an option of the plugin that is left out."""
    added: dict[str, Any] = {}
    parser = SimpleNamespace(addoption=lambda _, dest, default, **__: added.update({dest: default}))
    session: Any = SimpleNamespace()
    Plugin(session, None).pytest_addoption(parser)
    assert added == {"usepdb": False, "usepdb_cls": None, "trace": False}
