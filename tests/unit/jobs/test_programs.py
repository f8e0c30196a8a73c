"""The programs of builder/inside/: how keys know them, and what a package that they import sees of them."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from builder import ROOT
from builder.engine.programs import program_files
from builder.generate import program_versions
from builder.inside.load.probe_process import run_probe
from builder.jobs import programs
from builder.jobs.programs import ProgramVersion, programs_digest, text_digest

SPY = """
import json, os, sys
from pathlib import Path
seen = {
    "path": sys.path,
    "folder": os.getcwd(),
    "environment": sorted(os.environ),
    "modules": sorted(name for name in sys.modules if name.partition(".")[0] == "inside"),
    "importable": [],
}
for name in ("loaders", "slots", "probe", "walk", "again", "subinterpreter", "load"):
    try:
        __import__(name)
        seen["importable"].append(name)
    except ImportError:
        pass
Path(__file__).with_name("seen.json").write_text(json.dumps(seen))
"""


# --- keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", programs.program_versions())
def test_the_table_of_versions_is_about_the_present_text(package: str):
    version = programs.program_versions()[package]
    command = "python -m builder.generate.program_versions"
    assert version.text == text_digest(package), (
        f"builder/inside/{package}/ was changed. If no answer can differ for it, run `{command} same-answers {package}`"
        f" and say in the commit how that was seen; otherwise run `{command} new-answers {package}`."
    )


def test_a_text_that_the_table_does_not_know_is_its_own_version(monkeypatch: pytest.MonkeyPatch):
    stale = {"audit": ProgramVersion(text="0" * 64, answers_like="1" * 64)}
    monkeypatch.setattr(programs, "program_versions", lambda: stale)

    assert programs_digest.__wrapped__("audit") == text_digest("audit")
    assert programs_digest.__wrapped__("load") == text_digest("load")


@pytest.mark.parametrize(
    "table",
    [
        {"text": "0" * 64},
        {"text": "0" * 64, "answers_like": "soon"},
        {"text": "0" * 64, "answers_like": "1" * 64, "reason": "none"},
    ],
)
def test_a_version_that_is_not_whole_is_refused(table: dict[str, str]):
    with pytest.raises(ValidationError):
        ProgramVersion.model_validate(table)


def test_the_table_is_written_as_the_reviewer_decides(tmp_path: Path):
    table = tmp_path / "versions.toml"
    table.write_text(f'# why\n[audit]\ntext = "{"0" * 64}"\nanswers_like = "{"1" * 64}"\n')

    program_versions.update(table, ["audit"], same_answers=True)
    expected = f'# why\n[audit]\ntext = "{text_digest("audit")}"\nanswers_like = "{"1" * 64}"\n'
    assert table.read_text() == expected

    program_versions.update(table, ["audit", "load"], same_answers=False)
    for package in ("audit", "load"):
        line = f'[{package}]\ntext = "{text_digest(package)}"\nanswers_like = "{text_digest(package)}"\n'
        assert line in table.read_text()


def test_nothing_answers_like_what_is_not_on_record(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        program_versions.main(["same-answers", "proxy"])
    assert "proxy: nothing is on record" in capsys.readouterr().err


# --- in a container -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["audit", "load", "proxy"])
def test_a_package_of_programs_runs_by_its_name_alone(tmp_path: Path, package: str):
    for path, content in program_files(package).items():
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    arguments = {
        "audit": ["facts.json", "--no-auditwheel"],
        "load": ["request.json", "answers.json"],
        "proxy": ["nothing.json"],
    }
    (tmp_path / "request.json").write_text("[]")
    done = subprocess.run(
        [sys.executable, "-m", f"inside.{package}", *arguments[package]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    if package == "proxy":  # it serves for ever where it can
        assert "FileNotFoundError" in done.stderr
        assert "nothing.json" in done.stderr
    elif package == "load" and os.geteuid() != 0:
        assert "only root can keep apart from a package" in done.stderr
    else:
        assert done.returncode == 0, done.stderr


@pytest.fixture
def seen(tmp_path: Path) -> dict[str, list[str]]:
    """What a package sees of the probe that imports it."""
    (tmp_path / "spy.py").write_text(SPY)
    wanted = {"site": str(tmp_path), "tops": ["spy"], "natives": [], "modules": ["spy"]}
    answer = run_probe(sys.executable, "inside.load.probe", wanted, ())

    assert "error" not in answer["lines"][0]
    whole: dict[str, list[str]] = json.loads((tmp_path / "seen.json").read_text())
    return whole


def test_a_package_that_is_probed_sees_the_folder_it_is_in_and_none_of_the_programs(
    seen: dict[str, list[str]], tmp_path: Path
):
    clean = subprocess.run(
        [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path[1:]))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert seen["path"] == [str(tmp_path), *json.loads(clean.stdout)]
    assert seen["importable"] == []
    assert seen["modules"] == []
    assert ("PYTHONPATH" in seen["environment"]) == ("PYTHONPATH" in os.environ)


@pytest.mark.parametrize(
    "module",
    [
        "jobs.application",
        "jobs.load",
        "jobs.threads.race",
        "jobs.threads.exercise",
        "jobs.threads.speed",
        "farm.replay",
    ],
)
def test_what_runs_code_of_a_package_is_another_user_than_that(module: str):
    program = importlib.import_module(f"builder.{module}")._PROGRAM
    assert program.supervises
    source = ROOT / "inside" / program.package / f"{program.module or program.package}.py"
    assert "\n    supervise()\n" in source.read_text()
