import json
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import typer

from builder.cli.main import app
from builder.config import catalog, matrix
from builder.errors import ExitCode
from builder.farm import run
from builder.judge.package import JudgedPackage, Judgement, judge_fault
from builder.report.documents.part import make_schema
from builder.report.documents.verdicts_json import Document, make_document
from builder.sources import Fault
from builder.verdicts import Verdict
from tests.unit.cli.conftest import Ended

ROOT = Path(__file__).parents[3]


def commands() -> list[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return [name for name, command in group.commands.items() if not command.hidden]


def test_help_names_every_command_and_every_exit_code(wheelfarm: Callable[..., Ended]):
    done = wheelfarm("--help")
    assert done.returncode == 0
    for name in commands():
        assert re.search(rf"^│ {name}\b", done.stdout, re.MULTILINE), name
    epilog = " ".join(done.stdout[done.stdout.index("Exit codes") :].split())
    for code in ExitCode:
        assert re.search(rf"[:·] {code.value} [\w`]", epilog), code


@pytest.mark.parametrize("name", commands())
def test_the_help_of_a_command_gives_purpose_example_and_defaults(
    wheelfarm: Callable[..., Ended], name: str
):
    done = wheelfarm(name, "--help")
    assert done.returncode == 0
    assert f"Usage: wheelfarm {name}" in done.stdout
    if name not in {"doctor", "engine"}:  # they are called as they are
        assert re.search(rf"Examples?: wheelfarm {name}\b", done.stdout)


def test_a_wrong_matrix_is_usage(wheelfarm: Callable[..., Ended], tmp_path: Path):
    path = tmp_path / "matrix.toml"
    path.write_text("[packages.x]\ncolour = 1\nmemory = 'lots'\n")
    done = wheelfarm("run", "--matrix", str(path), "--wheelhouse", str(tmp_path / "wheelhouse"))
    assert done.returncode == ExitCode.USAGE
    assert "2 mistakes" in done.stderr
    assert "packages.x.colour" in done.stderr
    assert "packages.x.memory" in done.stderr
    assert not (tmp_path / "wheelhouse").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--colour"), "No such option: --colour"),
        (("run", "--shard", "4/3"), "--shard: "),
        (("run", "--shard", "half"), "--shard: "),
        (("plan", "--shards", "0"), "'--shards'"),
        (("merge",), "Missing argument 'SHARD...'"),
        (("publish",), "Missing argument 'TARGET'"),
        (("gc", "--keep-days", "-1"), "'--keep-days'"),
        (("gc", "--max-size", "huge"), "--max-size: "),
        (("plan", "--only", "y"), "It has: x"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_usage_and_names_the_mistake(
    wheelfarm: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: tuple[str, ...],
    said: str,
):
    (tmp_path / "matrix.toml").write_text("[packages.x]\n")
    monkeypatch.chdir(tmp_path)
    done = wheelfarm(*arguments)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
    assert not list((tmp_path / "wheelhouse").glob("*.json"))


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
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    for code in ExitCode:
        assert f"| {code.value} |" in text


def test_the_document_follows_its_schema():
    loaded = matrix.parse({"packages": {"x": {}}}, Path("matrix.toml"))
    fault = judge_fault(
        Fault(name="x", code="WF101", detail="unknown"), catalog.load().abis.values()
    )
    written = json.loads(make_document([fault], loaded).model_dump_json())
    jsonschema.validate(written, json.loads(make_schema(Document)))
    assert written["packages"][0]["abis"]["cp314t"]["findings"][0]["code"] == "WF101"


def test_the_published_schema_is_current():
    assert (ROOT / "docs/verdicts.schema.json").read_text() == make_schema(Document)
