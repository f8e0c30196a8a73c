"""What a wheelhouse has on record is what the checklist of a move says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder import index
from builder.config.matrix import Matrix
from builder.errors import ExitCode, FarmError
from builder.farm import migration
from builder.farm.migration import MigrationError, check_for_report, check_named, exit_code
from builder.index.channels import PromotionRequest, promote
from builder.judge.migration.facts import Observation
from builder.judge.migration.model import Checklist, State, Step, StepResult
from builder.report.documents import verdicts_json
from builder.report.documents.verdicts_json import Document
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict
from tests.unit.farm.migration_samples import (
    LOCK,
    MATRIX,
    judge,
    publish,
    survey,
    survey_row,
    write_project,
)

READY = (Step.SURVEY, Step.BUILD, Step.VERDICT, Step.CANARY)
"""What is done once an application was surveyed, and a run published its packages."""


def find_well(store: Store, step: Step, application: str, abi: str) -> Observation:
    """Stand for a record of measurements that found every application to be well."""
    assert store
    return Observation(state=State.DONE, evidence=(f"{step} of {application} on {abi}: the same",))


@pytest.fixture
def matrix(tmp_path: Path) -> Matrix:
    return write_project(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def written(matrix: Matrix, store: Store) -> Document:
    """All that a survey and a run leave."""
    survey(store, matrix)
    publish(store, matrix)
    return judge(store)


def ask(
    matrix: Matrix, store: Store, document: Document | None
) -> tuple[Checklist, dict[Step, StepResult]]:
    (checklist,) = check_named(matrix, store, document)
    return checklist, {result.step: result for result in checklist.results}


def test_an_empty_wheelhouse_begins_with_the_survey(tmp_path: Path, store: Store):
    only = "[applications.shop]\n" + MATRIX.split("[applications.shop]\n")[1]
    matrix = write_project(tmp_path, '[farm]\nabis = ["cp314t"]\n' + only)
    checklist, said = ask(matrix, store, None)
    assert checklist.next is said[Step.SURVEY]
    assert said[Step.SURVEY].commands[0].startswith("wheelfarm survey ")
    assert said[Step.BUILD].evidence == ("the matrix lacks foo 1.0, bar 1.0",)
    assert checklist.steps_in(State.DONE) == []
    assert exit_code([checklist]) == ExitCode.UNDETERMINED


def test_what_a_survey_and_a_run_left_is_done_and_measuring_is_next(
    matrix: Matrix, store: Store, written: Document
):
    checklist, said = ask(matrix, store, written)
    assert checklist.steps_in(State.DONE) == list(READY)
    assert "1 to be built from source, 1 ready as pinned" in said[Step.SURVEY].evidence[0]
    assert written.generated_at in said[Step.BUILD].evidence[0]
    assert "ready on debian-12" in said[Step.VERDICT].evidence[0]
    assert said[Step.VERDICT].evidence[1] == "its packages on cp314t: 2 compatible"
    assert checklist.next is said[Step.MEASURE]
    assert said[Step.MEASURE].commands[0].startswith("wheelfarm measure shop --matrix")
    assert said[Step.PROMOTE].commands[0].startswith("wheelfarm promote bar==1.0 foo==1.0 --matrix")


def test_after_the_promotion_all_that_is_left_is_to_measure(
    monkeypatch: pytest.MonkeyPatch, matrix: Matrix, store: Store, written: Document
):
    promote(store, matrix, PromotionRequest(by="ada", reason="it is well"))
    checklist, said = ask(matrix, store, written)
    assert checklist.steps_in(State.DONE) == [*READY, Step.PROMOTE]
    assert "by ada" in said[Step.PROMOTE].evidence[1]
    assert said[Step.PROMOTE].evidence[1].endswith(": it is well")
    assert checklist.next is said[Step.MEASURE]
    assert exit_code([checklist]) == ExitCode.UNDETERMINED

    monkeypatch.setattr(migration, "find_observation", find_well)
    (measured,) = check_named(matrix, store, written)
    assert measured.steps_in(State.DONE) == list(Step)
    assert exit_code([measured]) == ExitCode.ADMISSIBLE


def test_what_a_rollback_took_out_is_refused(matrix: Matrix, store: Store, written: Document):
    before = store.publications.current_snapshot()
    assert before is not None
    promote(store, matrix, PromotionRequest(names=["foo"], by="ada"))
    index.rollback(store, before, by="bob", reason="it leaks")
    checklist, said = ask(matrix, store, written)
    assert said[Step.PROMOTE].state is State.FAILED
    assert "bob took it back" in said[Step.PROMOTE].evidence[0]
    assert "foo==1.0" in said[Step.PROMOTE].evidence[0]
    assert "bar" not in said[Step.PROMOTE].evidence[0]
    assert exit_code([checklist]) == ExitCode.FAULTS


@pytest.mark.parametrize(
    ("rollout", "gate", "state"),
    [
        ('age = "3 days"', "gate age: ", State.OPEN),
        ('gates = ["measurement"]', "gate measurement: no result", State.OPEN),
        ('gates = ["verdict"]\nverdicts = ["distinct"]', "gate verdict: ", State.FAILED),
    ],
    ids=["age", "measurement", "verdict"],
)
def test_a_gate_says_why_it_refuses(
    tmp_path: Path, store: Store, rollout: str, gate: str, state: State
):
    matrix = write_project(tmp_path, MATRIX.replace('age = "0 days"', rollout))
    publish(store, matrix)
    _, said = ask(matrix, store, judge(store))
    assert said[Step.PROMOTE].state is state
    assert said[Step.PROMOTE].evidence[0].startswith(gate)
    assert said[Step.PROMOTE].commands[0].startswith("wheelfarm promote --list ")


# --- evidence that is wrong, absent or half written -------------------------------------------------------------------


def test_another_lock_makes_every_step_open_again(
    tmp_path: Path, matrix: Matrix, store: Store, written: Document
):
    (tmp_path / "shop.txt").write_text("foo==1.1\nbar==1.0\n")
    checklist, said = ask(matrix, store, written)
    assert checklist.steps_in(State.DONE) == []
    assert "does not have 1 of 2 releases" in said[Step.SURVEY].evidence[0]
    assert said[Step.BUILD].evidence == ("the matrix has another release of foo 1.1",)
    assert "--update" in said[Step.BUILD].commands[0]
    assert "another lock" in said[Step.VERDICT].evidence[0]
    assert said[Step.CANARY].evidence == ("`canary/` lacks foo 1.1",)


def test_a_lock_that_says_the_same_in_another_spelling_is_the_same(
    tmp_path: Path, matrix: Matrix, store: Store, written: Document
):
    (tmp_path / "shop.txt").write_text("Bar==1.0\nFoo==1.0  # once more\n")
    checklist, _ = ask(matrix, store, written)
    assert checklist.steps_in(State.DONE) == list(READY)


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 2}'])
def test_verdicts_that_cannot_be_read_are_said_to_be_damaged(
    matrix: Matrix, store: Store, written: Document, content: str
):
    (store.wheelhouse / "verdicts.json").write_text(content)
    _, said = ask(matrix, store, verdicts_json.read(store.wheelhouse))
    for step in (Step.BUILD, Step.VERDICT):
        assert (said[step].state, "damaged" in said[step].evidence[0]) == (State.OPEN, True)
    assert said[Step.SURVEY].state is State.DONE


@pytest.mark.parametrize("note", ["", "{", '{"at": "now", "releases": [], "x": 1}'])
def test_a_survey_that_cannot_be_read_counts_as_none(
    matrix: Matrix, store: Store, written: Document, note: str
):
    store.set_note(f"survey of {matrix.root / 'shop.txt'}", note)
    _, said = ask(matrix, store, written)
    assert said[Step.SURVEY].evidence == ("no survey of its lock is on record",)


@pytest.mark.parametrize("content", [None, b"# shop on cp314t\nfoo==1.0\n", b"\xff"])
def test_a_trial_without_a_whole_record_of_its_lock_says_nothing(
    matrix: Matrix, store: Store, written: Document, content: bytes | None
):
    path = store.wheelhouse / "constraints" / "applications" / "shop-cp314t.txt"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    _, said = ask(matrix, store, written)
    assert said[Step.VERDICT].state is State.OPEN
    assert "another lock" in said[Step.VERDICT].evidence[0]


def test_a_survey_of_another_release_is_not_one_of_the_lock(
    matrix: Matrix, store: Store, written: Document
):
    survey(store, matrix, survey_row("foo", "1.1"), survey_row("bar"))
    _, said = ask(matrix, store, written)
    assert said[Step.SURVEY].state is State.OPEN


def test_a_survey_may_leave_a_release_out_and_not_all_of_them(
    matrix: Matrix, store: Store, written: Document
):
    survey(store, matrix, survey_row("bar"), left_out="foo")
    _, said = ask(matrix, store, written)
    assert said[Step.SURVEY].state is State.DONE
    assert "1 left out by the survey" in said[Step.SURVEY].evidence[0]

    survey(store, matrix, left_out="foo")
    _, said = ask(matrix, store, written)
    assert said[Step.SURVEY].state is State.OPEN


def test_a_blocked_application_is_a_failure_with_its_way_out(
    matrix: Matrix, store: Store, written: Document
):
    blocked = judge(store, verdict=ApplicationVerdict.BLOCKED, reason="no", way_out="lock foo 2")
    checklist, said = ask(matrix, store, blocked)
    assert checklist.next is said[Step.VERDICT]
    assert said[Step.VERDICT].advice == "lock foo 2"
    assert exit_code([checklist]) == ExitCode.FAULTS


def test_a_run_without_a_rollout_serves_everything_at_once(
    tmp_path: Path, matrix: Matrix, store: Store, written: Document
):
    promote(store, matrix, PromotionRequest(by="ada"))
    without = write_project(tmp_path, MATRIX.replace('[rollout]\nage = "0 days"\n', ""))
    checklist, said = ask(without, store, written)
    assert checklist.next is said[Step.MEASURE]
    assert said[Step.CANARY].state is State.OPEN
    assert said[Step.PROMOTE].state is State.DONE
    assert "without a canary" in said[Step.PROMOTE].evidence[0]


def test_an_open_table_may_be_the_locked_release_and_a_pinned_one_is_not(
    tmp_path: Path, store: Store
):
    pinned = MATRIX.replace("[packages.bar]\n", '[packages.bar]\nversion = "==2.0"\n')
    _, said = ask(write_project(tmp_path, pinned), store, None)
    assert said[Step.BUILD].evidence == (
        "the matrix has another release of bar 1.0",
        "no whole run is on record",
    )


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_applications_and_abis_are_chosen_by_name(tmp_path: Path, store: Store):
    text = MATRIX.replace('["cp314t"]', '["cp314", "cp314t"]')
    matrix = write_project(tmp_path, text + '[applications.small]\nlock = "shop.txt"\n')
    moves = [(item.application, item.abi) for item in check_named(matrix, store, None)]
    assert moves == [
        ("shop", "cp314"),
        ("shop", "cp314t"),
        ("small", "cp314"),
        ("small", "cp314t"),
    ]
    (one,) = check_named(matrix, store, None, ["small"], ["cp314"])
    assert (one.application, one.abi) == ("small", "cp314")


@pytest.mark.parametrize(
    ("names", "abis", "said"),
    [
        (["none"], [], "no application 'none'; it has shop"),
        (["shop"], ["cp399"], "no ABI 'cp399'; it has cp314t"),
    ],
)
def test_a_name_that_the_matrix_does_not_have_is_an_error(
    matrix: Matrix, store: Store, names: list[str], abis: list[str], said: str
):
    with pytest.raises(MigrationError, match=said):
        check_named(matrix, store, None, names, abis)


def test_a_matrix_without_applications_says_how_to_name_one(matrix: Matrix, store: Store):
    without = matrix.model_copy(update={"applications": {}})
    with pytest.raises(MigrationError, match=r"\[applications.NAME\]"):
        check_named(without, store, None)


def test_the_report_leaves_a_lock_that_cannot_be_read_to_its_verdict(
    tmp_path: Path, matrix: Matrix, store: Store, written: Document
):
    (checklist,) = check_for_report(matrix, store, written)
    assert checklist.application == "shop"

    (tmp_path / "shop.txt").write_text(LOCK.replace("==1.0", ">=1"))
    assert check_for_report(matrix, store, written) == ()
    with pytest.raises(FarmError, match="leaves the release of foo open"):
        check_named(matrix, store, written)


def test_a_failure_decides_the_exit_code_before_what_is_not_done(
    matrix: Matrix, store: Store, written: Document
):
    checklist, said = ask(matrix, store, written)
    failed = replace(checklist, results=(replace(said[Step.SURVEY], state=State.FAILED),))
    assert exit_code([checklist, failed]) == ExitCode.FAULTS
    assert exit_code([]) == ExitCode.ADMISSIBLE
