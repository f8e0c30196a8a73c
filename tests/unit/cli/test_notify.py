"""`wheelfarm notify`, and the alerts of `nightly` and `merge`: what is printed, and that no exit code changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from builder.errors import ExitCode
from builder.farm import run
from builder.report.documents.verdicts_json import Document
from builder.store.store import Store
from tests.unit.cli.conftest import Ended
from tests.unit.documents import abi, document
from tests.unit.report.notify.web_server import Reply, serve_list

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/notify.schema.json").read_text())
GOOD = document({"foo": {"cp314t": abi("compatible", "fine")}})
BAD = document({"foo": {"cp314t": abi("racy", "it races")}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a matrix of two targets, whose secrets are not there yet."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    text = (
        "[packages.foo]\n"
        '[notify.chat]\nkind = "slack"\nurl-env = "CHAT_URL"\n'
        '[notify.hook]\nkind = "webhook"\nurl-env = "HOOK_URL"\n'
    )
    (tmp_path / "matrix.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def leave(project: Path, verdicts: Document) -> None:
    (project / "wheelhouse").mkdir(exist_ok=True)
    (project / "wheelhouse/verdicts.json").write_text(verdicts.model_dump_json())


def let_runs_find(monkeypatch: pytest.MonkeyPatch, project: Path, verdicts: Document) -> None:
    """Have runs and merges leave verdicts, in place of building."""

    def find(_matrix: object, _store: Store, *_more: object) -> None:
        leave(project, verdicts)

    monkeypatch.setattr(run, "run", find)
    monkeypatch.setattr(run, "merge", find)


@pytest.mark.parametrize("command", [("nightly",), ("merge", "shard")], ids=["nightly", "merge"])
def test_a_bad_night_is_told_and_one_that_is_the_same_is_not(
    wheelfarm: Callable[..., Ended],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
):
    leave(project, GOOD)
    let_runs_find(monkeypatch, project, BAD)
    with serve_list(Reply()) as server:
        monkeypatch.setenv("CHAT_URL", f"{server.url}/chat")
        monkeypatch.setenv("HOOK_URL", f"{server.url}/hook")
        bad = wheelfarm(*command, "--report-url", "https://farm.invalid/r")
        again = wheelfarm(*command)
    assert (bad.returncode, again.returncode) == (ExitCode.FAULTS, ExitCode.ADMISSIBLE)
    assert [one.path for one in server.asked] == ["/chat", "/hook"]
    sent = json.loads(server.asked[1].content)
    assert sent["report_url"] == "https://farm.invalid/r"
    assert sent["regressions"][0]["after"] == "racy"
    assert "alert chat (slack): sent" in bad.stderr
    assert "alert" not in bad.stdout + again.stdout + again.stderr


def test_a_secret_that_is_missing_is_said_before_the_run_and_costs_nothing(
    wheelfarm: Callable[..., Ended], project: Path, monkeypatch: pytest.MonkeyPatch
):
    leave(project, GOOD)
    let_runs_find(monkeypatch, project, BAD)
    found = run.run
    said: list[str] = []

    def listen(*arguments: object) -> None:
        said.append("the run begins")
        found(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "run", listen)
    monkeypatch.setattr("builder.cli.notify.print_error", said.append)
    with serve_list(Reply(404, b"gone")) as server:
        monkeypatch.setenv("HOOK_URL", f"{server.url}/hook-with-token")
        ended = wheelfarm("nightly")
    assert ended.returncode == ExitCode.FAULTS
    warning, beginning, *failures = said
    assert "notify.chat.url-env: the variable CHAT_URL" in warning
    assert beginning == "the run begins"
    assert "alert chat (slack): not sent: the variable CHAT_URL is not set" in failures[0]
    assert "alert hook (webhook): not sent: status 404 ('gone')" in failures[1]
    assert "`wheelfarm notify hook` sends it again" in failures[1]
    assert "hook-with-token" not in "".join(said)


def test_what_was_not_sent_can_be_sent_again(
    wheelfarm: Callable[..., Ended], project: Path, monkeypatch: pytest.MonkeyPatch
):
    leave(project, GOOD)
    let_runs_find(monkeypatch, project, BAD)
    wheelfarm("nightly")
    with serve_list(Reply()) as server:
        monkeypatch.setenv("HOOK_URL", f"{server.url}/hook")
        ended = wheelfarm("notify", "hook", "--json")
    answer = json.loads(ended.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert [(one["name"], one["outcome"]) for one in answer["targets"]] == [("hook", "sent")]
    assert json.loads(server.asked[0].content)["kind"] == "night"


def test_a_test_message_needs_no_night_and_its_failure_is_an_exit_code(
    wheelfarm: Callable[..., Ended], project: Path, monkeypatch: pytest.MonkeyPatch
):
    with serve_list(Reply(), Reply(401, b"who?")) as server:
        monkeypatch.setenv("HOOK_URL", f"{server.url}/hook")
        taken = wheelfarm("notify", "hook", "--test")
        refused = wheelfarm("notify", "hook", "--test")
    assert taken.returncode == ExitCode.ADMISSIBLE
    assert "alert hook (webhook): sent" in taken.stdout
    assert json.loads(server.asked[0].content)["kind"] == "test"
    assert refused.returncode == ExitCode.UNDETERMINED
    assert "not sent: status 401 ('who?'); check the token" in refused.stderr


def test_a_dry_run_shows_what_would_be_sent_and_needs_no_secret(
    wheelfarm: Callable[..., Ended], project: Path
):
    ended = wheelfarm("notify", "--test", "--dry-run")
    assert ended.returncode == ExitCode.ADMISSIBLE
    assert "alert chat (slack): would be sent:" in ended.stdout
    assert '"text": "*wheelfarm* `matrix.toml`: test message' in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("chat",), "notify.chat.url-env: the variable CHAT_URL of the environment is not set"),
        (("pager", "--test"), "notify.pager: there is no such table; the matrix has chat, hook"),
        (("--dry-run",), "report/alert.json is not there"),
        (("--test", "--report-url", "somewhere"), "--report-url"),
    ],
)
def test_what_cannot_be_asked_for_is_usage(
    wheelfarm: Callable[..., Ended], project: Path, arguments: tuple[str, ...], expected: str
):
    ended = wheelfarm("notify", *arguments)
    assert ended.returncode == ExitCode.USAGE
    assert expected in ended.stderr


def test_a_matrix_without_targets_is_usage(wheelfarm: Callable[..., Ended], project: Path):
    (project / "matrix.toml").write_text("[packages.foo]\n")
    ended = wheelfarm("notify", "--test")
    assert ended.returncode == ExitCode.USAGE
    assert "at least one table [notify.NAME]" in ended.stderr
