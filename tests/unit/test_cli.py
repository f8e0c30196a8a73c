import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from builder.config import catalog, matrix
from builder.errors import ExitCode
from builder.farm import run
from builder.judge.package import JudgedPackage, Judgement, judge_fault
from builder.report import document
from builder.sources import Fault
from builder.verdicts import Verdict


def wheelfarm(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "builder", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "120", **environment},
    )


def test_help_names_every_command_and_the_exit_codes():
    done = wheelfarm("--help")
    assert done.returncode == 0
    for word in (
        "run",
        "plan",
        "nightly",
        "merge",
        "publish",
        "gc",
        "doctor",
        "engine",
        "Exit codes",
    ):
        assert word in done.stdout


def test_a_wrong_matrix_is_usage(tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text("[packages.x]\ncolour = 1\nmemory = 'lots'\n")
    done = wheelfarm("run", "--matrix", str(path), "--wheelhouse", str(tmp_path / "wheelhouse"))
    assert done.returncode == ExitCode.USAGE
    assert "2 mistakes" in done.stderr
    assert "packages.x.colour" in done.stderr
    assert "packages.x.memory" in done.stderr
    assert not (tmp_path / "wheelhouse").exists()


def test_a_wrong_option_and_an_unknown_package_are_usage(tmp_path: Path):
    assert wheelfarm("run", "--colour").returncode == ExitCode.USAGE
    for wrong in (
        ("run", "--shard", "4/3"),
        ("plan", "--shards", "0"),
        ("merge",),
        ("publish",),
        ("gc", "--keep-days", "-1"),
    ):
        assert wheelfarm(*wrong, "--matrix", str(tmp_path)).returncode == ExitCode.USAGE
    (tmp_path / "matrix.toml").write_text("[packages.x]\n")
    done = wheelfarm(
        "plan",
        "--matrix",
        str(tmp_path / "matrix.toml"),
        "--wheelhouse",
        str(tmp_path),
        "--only",
        "y",
    )
    assert done.returncode == ExitCode.USAGE
    assert "It has: x" in done.stderr


def test_without_an_engine_the_doctor_and_a_run_say_so(tmp_path: Path):
    nowhere = f"unix://{tmp_path}/none.sock"
    done = wheelfarm("engine", DOCKER_HOST=nowhere)
    assert done.returncode == ExitCode.ENGINE
    assert "there is no such socket" in done.stderr
    assert "make engine" in done.stderr


def judged(verdict: Verdict) -> JudgedPackage:
    fault = Fault(name="x", code="WF101", detail="")
    return JudgedPackage(
        name="x",
        version="1",
        source=fault,
        abis={"cp314": Judgement(abi="cp314", verdict=verdict, reason="r")},
    )


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], ExitCode.ADMISSIBLE),
        ([Verdict.COMPATIBLE, Verdict.UNPROVEN, Verdict.GIL_REQUIRED], ExitCode.ADMISSIBLE),
        ([Verdict.COMPATIBLE, Verdict.UNDETERMINED], ExitCode.UNDETERMINED),
        ([Verdict.UNDETERMINED, Verdict.BUILD_FAILURE], ExitCode.FAULTS),
        ([Verdict.IMPORT_FAILURE], ExitCode.FAULTS),
        ([Verdict.ABI_MISMATCH], ExitCode.FAULTS),
        ([Verdict.RACY], ExitCode.FAULTS),
        ([Verdict.THREAD_UNSAFE], ExitCode.FAULTS),
    ],
)
def test_each_class_of_outcome_has_its_exit_code(verdicts: list[Verdict], code: ExitCode):
    assert run.exit_code(verdicts) is code


def test_exit_codes_are_documented():
    text = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} |" in text


def test_the_document_follows_its_schema():
    loaded = matrix.parse({"packages": {"x": {}}}, Path("matrix.toml"))
    fault = judge_fault(
        Fault(name="x", code="WF101", detail="unknown"), catalog.load().abis.values()
    )
    written = json.loads(document.make_document([fault], loaded).model_dump_json())
    jsonschema.validate(written, json.loads(document.schema()))
    assert written["packages"][0]["abis"]["cp314t"]["findings"][0]["code"] == "WF101"


def test_the_published_schema_is_current():
    assert (
        Path(__file__).parents[2] / "docs/verdicts.schema.json"
    ).read_text() == document.schema()
