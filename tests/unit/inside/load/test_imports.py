"""Which modules are imported alone, and which together."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from builder.inside.load import imports

if TYPE_CHECKING:
    from pathlib import Path

NEEDS_A = "import sys\nassert 'foo.a' in sys.modules\n"


def probe(
    folder: Path, capfd: pytest.CaptureFixture[str], modules: dict[str, str]
) -> tuple[dict[str, dict[str, Any]], list[list[str]]]:
    """Import modules of a package `foo`; return what each showed, by name, and what was imported by each process."""
    (folder / "foo").mkdir(exist_ok=True)
    (folder / "foo" / "__init__.py").touch()
    for name, code in modules.items():
        (folder / "foo" / f"{name}.py").write_text(code)
    names = [f"foo.{name}" for name in modules]
    request = {"site": str(folder), "tops": ["foo"], "natives": names}
    probes = imports.probe_natives(sys.executable, request, names)

    assert [probe["module"] for probe in probes] == names
    assert all(probe["native"] for probe in probes)
    printed = re.findall(r'"modules": \[([^]]*)\]', capfd.readouterr().out)
    processes = [[name.strip('" ') for name in names.split(",")] for names in printed]
    return {probe["module"]: probe for probe in probes}, processes


def test_many_modules_take_two_processes(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    probes, processes = probe(tmp_path, capfd, dict.fromkeys("abcd", ""))
    forwards = ["foo.a", "foo.b", "foo.c", "foo.d"]
    assert processes == [forwards, forwards[::-1]]
    assert not any("error" in probe for probe in probes.values())
    assert all(probe["gil"]["enabled_by"] is None for probe in probes.values())


def test_few_modules_are_imported_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    _, processes = probe(tmp_path, capfd, dict.fromkeys("ab", ""))
    assert processes == [["foo.a"], ["foo.b"]]


@pytest.mark.parametrize("order", ["abcd", "dcba"])
def test_one_that_needs_another_before_it_fails_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], order: str
):
    modules = {name: NEEDS_A if name == "c" else "" for name in order}
    probes, processes = probe(tmp_path, capfd, modules)
    assert processes[2:] == [["foo.c"]]
    assert [name for name, probe in probes.items() if "error" in probe] == ["foo.c"]
    assert probes["foo.c"]["error"] == "AssertionError: "


def test_where_a_process_dies_each_is_imported_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    dies = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    probes, processes = probe(tmp_path, capfd, {"a": "", "b": dies, "c": ""})
    assert processes[2:] == [["foo.a"], ["foo.b"], ["foo.c"]]
    assert [name for name, probe in probes.items() if "signal" in probe] == ["foo.b"]


@pytest.mark.parametrize(("seen", "believed"), [("off", ["foo.a"]), ("on", []), ("hidden", [])])
def test_what_turns_the_gil_on_or_comes_after_it_is_imported_alone(
    monkeypatch: pytest.MonkeyPatch, seen: str, believed: list[str]
):
    def answer(*_: object) -> dict[str, Any]:
        states = {"foo.a": (False, False), "foo.b": (False, True), "foo.c": (True, True)}
        lines = [
            {"module": name, "gil": {"before": before, "after": after}}
            for name, (before, after) in states.items()
        ]
        return {"lines": lines, "gil_seen": seen}

    monkeypatch.setattr(imports, "run_probe", answer)
    cleared = imports.find_cleared("python", {}, ["foo.a", "foo.b", "foo.c"])
    assert [*cleared] == believed
    assert all(facts["gil"]["seen"] == seen for facts in cleared.values())


def test_one_that_works_after_the_module_that_imports_it_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    circle = "from foo import user\nuser.NAME\n"
    (tmp_path / "foo").mkdir()
    (tmp_path / "foo" / "user.py").write_text("NAME = 1\nfrom foo import b\nb.user\n")
    probes, processes = probe(tmp_path, capfd, {"a": "", "b": circle, "c": ""})
    assert processes[2:] == [["foo.b"], ["foo.user", "foo.b"]]
    assert "partially initialized module" in probes["foo.b"]["error"]
    assert probes["foo.b"]["after"] == "foo.user"


def test_the_cause_of_an_error_is_told_with_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code = "try:\n    import not_there\nexcept ImportError as e:\n    raise ImportError('initialization failed') from e\n"
    probes, _ = probe(tmp_path, capfd, {"a": code})
    cause = "ModuleNotFoundError: No module named 'not_there'"
    assert probes["foo.a"]["error"] == f"ImportError: initialization failed; caused by {cause}"
    assert probes["foo.a"]["missing"] == "not_there"
