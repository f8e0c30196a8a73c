"""`wheelfarm promote`: what it prints, as text and by its schema, and what it ends with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from builder.errors import ExitCode
from builder.store.store import Store
from tests.unit.cli.conftest import Ended
from tests.unit.index.channel_samples import add_release, listed, name, rollout, run

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs/promote.schema.json").read_text(encoding="utf-8")
)
TABLE = '[rollout]\nage = "{age}"\n[packages.foo]\n[packages.bar]\n'


@pytest.fixture
def promote(wheelfarm: Callable[..., Ended], tmp_path: Path) -> Callable[..., Ended]:
    """The command on an index where foo and bar are pending, and old enough."""
    (tmp_path / "matrix.toml").write_text(TABLE.format(age="0 days"))
    with Store(tmp_path / "w") as store:
        bar = add_release(store, "bar", verdicts="cp314t undetermined")
        run(store, rollout("foo", "bar"), add_release(store, "foo"), bar)

    def call(*arguments: str) -> Ended:
        options = ("--matrix", str(tmp_path / "matrix.toml"), "--wheelhouse", str(tmp_path / "w"))
        return wheelfarm("promote", *arguments, *options)

    return call


def read(ended: Ended) -> Any:
    answer = json.loads(ended.stdout)
    jsonschema.validate(answer, SCHEMA)
    return answer


def test_what_is_pending_is_listed_with_its_gates(promote: Callable[..., Ended]):
    text = promote("--list").stdout
    assert f"{name('foo')}: nothing → cp314t compatible" in text
    assert "verdict      failed   undetermined on cp314t" in text
    pending = {part["project"]: part for part in read(promote("--list", "--json"))["pending"]}
    assert [gate["outcome"] for gate in pending["foo"]["gates"]] == ["passed", "passed"]
    assert [gate["outcome"] for gate in pending["bar"]["gates"]] == ["failed", "passed"]


def test_a_refusal_ends_with_1_and_the_rest_is_promoted(
    promote: Callable[..., Ended], tmp_path: Path
):
    ended = promote("--json")
    assert ended.returncode == ExitCode.FAULTS
    answer = read(ended)
    assert [part["project"] for part in answer["promoted"]] == ["foo"]
    assert "gate verdict" in answer["refused"][0]["refusal"]
    with Store(tmp_path / "w") as store:
        assert listed(store, "simple") == {name("foo")}


def test_nothing_to_promote_is_a_success(promote: Callable[..., Ended]):
    assert promote("foo").returncode == ExitCode.ADMISSIBLE
    again = promote("foo")
    assert (again.returncode, again.stdout.strip()) == (ExitCode.ADMISSIBLE, "nothing to promote")


def test_force_needs_a_reason_and_is_on_record(promote: Callable[..., Ended]):
    refused = promote("bar", "--force")
    assert refused.returncode == ExitCode.USAGE
    assert "--reason" in refused.stderr

    forced = promote("bar", "--force", "--reason", "a CVE", "--by", "ada")
    assert forced.returncode == ExitCode.ADMISSIBLE
    assert "forced: gate verdict" in forced.stdout
    (change,) = read(promote("--history", "--json"))["history"]
    assert (change["by"], change["reason"], change["kind"]) == ("ada", "a CVE", "promotion")
    assert change["releases"][0]["forced"]
    text = promote("--history").stdout
    assert "promotion by ada: a CVE" in text
    assert "in  bar==1.0  (verdict failed, age passed, forced)" in text


def test_a_rollback_is_in_the_history(
    promote: Callable[..., Ended], wheelfarm: Callable[..., Ended], tmp_path: Path
):
    promote("foo")
    options = ("--wheelhouse", str(tmp_path / "w"), "--by", "eve", "--reason", "it leaks")
    assert wheelfarm("rollback", *options).returncode == ExitCode.ADMISSIBLE
    assert "rollback by eve: it leaks\n  out foo==1.0\n" in promote("--history").stdout
    assert "eve took it back" in promote("foo").stdout


def test_a_matrix_without_a_rollout_or_an_unknown_name_is_wrong_usage(
    promote: Callable[..., Ended], tmp_path: Path
):
    assert promote("other").returncode == ExitCode.USAGE
    (tmp_path / "matrix.toml").write_text("[packages.foo]\n")
    ended = promote("--list")
    assert ended.returncode == ExitCode.USAGE
    assert "[rollout]" in ended.stderr


def test_the_canary_channel_can_be_uploaded_where_there_is_one(
    wheelfarm: Callable[..., Ended], tmp_path: Path
):
    options = ("http://127.0.0.1:9/up/", "--wheelhouse", str(tmp_path / "none"))
    ended = wheelfarm("publish", "--channel", "canary", *options)
    assert ended.returncode == ExitCode.USAGE
    assert "no canary channel" in ended.stderr
    assert wheelfarm("publish", "--channel", "quarantine", *options).returncode == ExitCode.USAGE
