"""What commands print with `--json` is what docs/COMMAND.schema.json says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from builder import index
from builder.cli.main import app
from builder.engine import provision
from builder.errors import ExitCode
from builder.farm import doctor, replay, run, sweep
from builder.farm.garbage import MatrixUsage
from builder.farm.replay import Replay, ReplayResult
from builder.generate import docs
from builder.host import settings as host
from builder.index import ServedFile, upload
from builder.index.upload import UploadOutcome, UploadResult
from builder.report.documents.applications import ApplicationPart, BlockerPart, RiskPart
from builder.report.documents.commands import DOCUMENTS, NightDocument
from builder.report.formats import night
from builder.store.evidence import Evidence
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict
from tests.job_ids import job_id
from tests.unit.cli.conftest import Ended
from tests.unit.documents import abi, document, finding
from tests.unit.farm import measure_samples
from tests.unit.farm.parity_samples import fill, write_project
from tests.unit.local_index import LocalIndex, archive, sdist, serving, wheel
from tests.unit.wheels import add_wheel

DOCS = Path(__file__).parents[3] / "docs"
SILENT = {"serve"}
"""Commands that print no data."""


def check(command: str, ended: Ended) -> Any:
    """Return what a command printed, checked against its published schema."""
    answer = json.loads(ended.stdout)
    check_record(command, answer)
    return answer


def check_record(command: str, answer: object) -> None:
    schema = json.loads((DOCS / f"{command}.schema.json").read_text())
    jsonschema.validate(answer, schema)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        index.add("pure", "pure-1.0-py3-none-any.whl", wheel("pure", "1.0"))
        index.add("native", "native-1.0.tar.gz", sdist("native", "1.0", requires=("pure",)))
        index.add("native", "native-1.0-cp314-cp314-linux_x86_64.whl", wheel("native", "1.0"))
        files = {"old-1.0/PKG-INFO": b"Name: old\nVersion: 1.0\n", "old-1.0/x.c": b""}
        index.add("old", "old-1.0.tar.gz", archive("tar.gz", files))
        yield index


def commands() -> dict[str, Any]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return {name: command for name, command in group.commands.items() if not command.hidden}


def test_every_command_that_prints_data_has_the_option_and_a_schema():
    with_option: set[str] = set()
    for name, command in commands().items():
        if any("--json" in parameter.opts for parameter in command.params):
            with_option.add(name)
    assert with_option == commands().keys() - SILENT
    # What main.py gets from elsewhere has its schema elsewhere; each command here has one.
    assert with_option >= DOCUMENTS.keys()


def test_the_published_schemas_are_current():
    for name, text in docs.render_files().items():
        if name.endswith(".schema.json"):
            assert (DOCS / name).read_text() == text, f"run `make docs`: {name}"


def test_add_and_survey(wheelfarm: Callable[..., Ended], served: LocalIndex, tmp_path: Path):
    (tmp_path / "requirements.in").write_text(
        "native\npure==1.0\nold; python_version > '3'\nnone\n"
    )
    file, wheelhouse = str(tmp_path), str(tmp_path / "wheelhouse")
    matrix = str(tmp_path / "matrix.toml")

    added = wheelfarm(
        "add", "--all", file, "--matrix", matrix, "--wheelhouse", wheelhouse, "--json"
    )
    answer = check("add", added)
    assert {part["name"]: part["group"] for part in answer["packages"]} == {
        "native": "native",
        "old": "native",
        "pure": "pure Python",
    }
    assert [part["name"] for part in answer["left_out"]] == ["none"]

    answer = check("survey", wheelfarm("survey", file, "--wheelhouse", wheelhouse, "--json"))
    assert [part["name"] for part in answer["dependencies"]] == ["native", "old", "pure"]


def test_a_survey_with_a_cool_down_holds_back_what_has_no_upload_time(
    wheelfarm: Callable[..., Ended], served: LocalIndex, tmp_path: Path
):
    (tmp_path / "requirements.txt").write_text("native\n")
    options = ("--wheelhouse", str(tmp_path / "wheelhouse"), "--cool-down", "7 days", "--json")
    answer = check("survey", wheelfarm("survey", str(tmp_path), *options))
    assert answer["dependencies"] == []
    assert "held back by the cool-down" in answer["left_out"][0]["why"]

    refused = wheelfarm("survey", str(tmp_path), "--cool-down", "soon")
    assert refused.returncode == 2
    assert "'7 days'" in refused.stderr


def test_plan(wheelfarm: Callable[..., Ended], served: LocalIndex, tmp_path: Path):
    text = (
        '[farm]\nbases = ["debian-12"]\nabis = ["cp314"]\n[packages.native]\n[packages.none]\n'
        '[applications.shop]\nlock = "requirements.txt"\n'
    )
    (tmp_path / "matrix.toml").write_text(text)
    options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))
    answer = check("plan", wheelfarm("plan", *options, "--json"))
    assert list(answer["faults"]) == ["none"]
    assert answer["jobs"]
    assert list(answer["trials"]) == ["application:shop@cp314/debian-12"]


def test_show(wheelfarm: Callable[..., Ended], tmp_path: Path):
    with Store(tmp_path) as store:
        facts: dict[str, Any] = {"abis": {}, "limits": {}}
        store.put(Evidence(key="k", job=job_id("build:foo@debian-12"), facts=facts))
    answer = check("show", wheelfarm("show", "foo", "--wheelhouse", str(tmp_path), "--json"))
    assert [job["id"] for job in answer["jobs"]] == ["build:foo@debian-12"]


def test_app(wheelfarm: Callable[..., Ended], tmp_path: Path):
    part = ApplicationPart(
        name="shop",
        abi="cp314",
        base="debian-12",
        verdict=ApplicationVerdict.BLOCKED,
        reason="blocked by foo: it is not served",
        way_out="wait",
        packages=1,
        blockers=[BlockerPart(package="foo", version="1.0", what="not served", ways_out=["wait"])],
        risks=[RiskPart(package="", what="to know")],
        log="",
    )
    made = document({"foo": {"cp314": abi()}}).model_copy(update={"applications": [part]})
    (tmp_path / "verdicts.json").write_text(made.model_dump_json())

    ended = wheelfarm("app", "shop", "--wheelhouse", str(tmp_path), "--json")
    assert check("app", ended)["applications"][0]["verdict"] == "blocked"
    assert ended.returncode == ExitCode.FAULTS
    assert "blocked by  foo: not served" in wheelfarm("app", "--wheelhouse", str(tmp_path)).stdout
    unknown = wheelfarm("app", "none", "--wheelhouse", str(tmp_path))
    assert unknown.returncode == ExitCode.USAGE
    assert "it had shop" in unknown.stderr


def test_parity(wheelfarm: Callable[..., Ended], tmp_path: Path):
    write_project(tmp_path)
    with Store(tmp_path / "w") as store:
        fill(store)
    options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))

    ended = wheelfarm("parity", "shop", *options, "--json")
    (part,) = check("parity", ended)["comparisons"]
    assert ended.returncode == ExitCode.ADMISSIBLE
    assert "libfoo1t64" in part["dockerfile"]["ubuntu-24.04"]
    assert "install libfoo1, libreadline8" in wheelfarm("parity", *options).stdout
    unknown = wheelfarm("parity", "none", *options)
    assert unknown.returncode == ExitCode.USAGE
    assert "it has shop, small" in unknown.stderr


def test_measure(wheelfarm: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measure_samples.write_project(tmp_path)
    own = [measure_samples.native("1.0", abi) for abi in ("cp314", "cp314t")]
    with Store(tmp_path / "w") as store:
        measure_samples.publish(store, *own, measure_samples.PURE)
    measure_samples.play(monkeypatch, {"cp314t/1": {"p99": 1.2}})
    options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))
    interpreters = ("--interpreter", "cp314", "--interpreter", "cp314t")

    ended = wheelfarm("measure", "shop", *options, *interpreters, "--json")
    assert ended.returncode == ExitCode.FAULTS
    (part,) = check("measure", ended)["measurements"]
    variants = {variant["name"]: variant for variant in part["scenarios"][0]["variants"]}
    metrics = {metric["name"]: metric for metric in variants["cp314t/1"]["metrics"]}
    assert metrics["p99"]["threshold"] == "+10%"
    assert metrics["p99"]["comparison"]["answer"] == "worse"
    again = wheelfarm("measure", *options, "--last")
    assert again.returncode == ExitCode.FAULTS
    assert "worse: list: 99th percentile of the latency of cp314t/1" in again.stdout
    unknown = wheelfarm("measure", "none", *options)
    assert unknown.returncode == ExitCode.USAGE
    assert "it has shop, quiet" in unknown.stderr


def test_rollback(wheelfarm: Callable[..., Ended], tmp_path: Path):
    with Store(tmp_path) as store:
        for version in ("1.0", "2.0"):
            filename = f"foo-{version}-py3-none-any.whl"
            file = ServedFile(filename=filename, sha256=add_wheel(store, filename))
            index.publish(index.describe([file], store), store)

    listed = check(
        "rollback", wheelfarm("rollback", "--list", "--wheelhouse", str(tmp_path), "--json")
    )
    assert [part["current"] for part in listed["snapshots"]].count(True) == 1
    before = {part["id"] for part in listed["snapshots"] if part["current"]}
    done = check("rollback", wheelfarm("rollback", "--wheelhouse", str(tmp_path), "--json"))
    after = {part["id"] for part in done["snapshots"] if part["current"]}
    assert before != after


def test_doctor_and_engine(wheelfarm: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch):
    found = [doctor.Check(name="disk", ok=False, found="1 GiB", remedy="free some", required=False)]
    monkeypatch.setattr(doctor, "run_checks", lambda _: found)
    assert check("doctor", wheelfarm("doctor", "--json"))[0]["found"] == "1 GiB"

    class Connected:
        address = "unix:///run/engine.sock"
        api_version = (1, 41)

    monkeypatch.setattr(provision, "ensure_engine", lambda _: Connected())
    assert check("engine", wheelfarm("engine", "--json"))["api_version"] == "1.41"


def test_nightly_and_merge():
    before = document(
        {"foo": {"cp314": abi("compatible", "fine")}, "bar": {"cp314": abi("compatible", "fine")}}
    )
    after = document(
        {
            "foo": {"cp314": abi("import-failure", "no", finding())},
            "new": {"cp314": abi("compatible", "fine")},
        }
    )
    record = night.record(night.compare_documents(before, after))
    printed = NightDocument.model_validate(record).model_dump(mode="json")
    for command in ("nightly", "merge"):
        check_record(command, printed)
    assert {(part["package"], part["direction"]) for part in printed["changes"]} == {
        ("foo", "worse"),
        ("bar", "gone"),
        ("new", "new"),
    }
    assert printed["findings"][0]["package"] == "foo"
    first = night.record(night.compare_documents(None, after))
    assert NightDocument.model_validate(first).first


def test_publish(wheelfarm: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Target:
        url = "https://index.invalid/legacy/"

    sent = UploadResult(
        filename="a-1-py3-none-any.whl", sha256="0" * 64, outcome=UploadOutcome.SENT
    )
    monkeypatch.setattr(upload, "find_target", lambda _: Target())
    monkeypatch.setattr(upload, "upload", lambda *_: [sent])
    options = ("--wheelhouse", str(tmp_path), "--json")
    assert (
        check("publish", wheelfarm("publish", "internal", *options))["files"][0]["outcome"]
        == "sent"
    )


def test_gc(wheelfarm: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "matrix.toml").write_text("[packages.native]\n")
    usage = MatrixUsage(jobs=frozenset(), keys=frozenset(), sdists=frozenset())
    monkeypatch.setattr(sweep, "find_usage", lambda *_: usage)
    options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))
    answer = check("gc", wheelfarm("gc", "--dry-run", *options, "--json"))
    assert (answer["dry_run"], answer["engine"]) == (True, {})


def test_replay(wheelfarm: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = Replay(
        id="55c50fda", name="foo", version="1.0", abi="cp314t", code="WF601", where="f", detail="", race=True,
        base="debian-12", script="print()", effort="quick",
    )  # fmt: skip
    result = ReplayResult(shown=1, runs=2, what=("crash", "nothing"), output="SEGV")
    (tmp_path / "matrix.toml").write_text("[packages.foo]\n")
    monkeypatch.setattr(replay, "load_replay", lambda *_: wanted)
    monkeypatch.setattr(run, "replay", lambda *_: result)
    options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))
    answer = check("replay", wheelfarm("replay", "55", *options, "--json"))
    assert (answer["finding"], answer["shown"], answer["what"]) == (
        "55c50fda",
        1,
        ["crash", "nothing"],
    )
