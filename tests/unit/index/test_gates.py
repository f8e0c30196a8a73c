"""What lets a release pass from canary to simple."""

import datetime
from typing import get_args

import pytest

from builder.config.values import GateName
from builder.index.gates import GATES, GateOutcome, GateResult, Rules, ask_gates, find_taken_back
from builder.index.rollout import PendingFile, PendingRelease
from builder.store.publications import ChangeKind, ChannelChange
from tests.unit.index.channel_samples import entry

NOW = datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC)
DAYS = datetime.timedelta(days=1)
HASH = "a" * 64


def release(verdicts: str = "cp314t compatible") -> PendingRelease:
    file = PendingFile(
        entry=entry("foo", verdicts=verdicts, sha256=HASH), before="", is_served=False
    )
    return PendingRelease(project="foo", version="1.0", files=(file,))


def rules(*gates: str, age: datetime.timedelta = DAYS, **more: object) -> Rules:
    return Rules(gates=gates, age=age, verdicts=("compatible", "distinct"), now=NOW, **more)  # type: ignore[arg-type]


def ask(of: PendingRelease, by: Rules) -> list[tuple[str, str]]:
    return [(result.gate, result.outcome.value) for result in ask_gates(of, by)]


def test_every_gate_that_a_matrix_can_name_is_there():
    assert set(GATES) == set(get_args(GateName))


@pytest.mark.parametrize(
    ("verdicts", "outcome"),
    [
        ("cp314 compatible, cp314t distinct", "passed"),
        ("cp314 compatible, cp314t gil-required", "failed"),
        ("", "missing"),
    ],
)
def test_every_verdict_of_a_wheel_has_to_be_accepted(verdicts: str, outcome: str):
    assert ask(release(verdicts), rules("verdict")) == [("verdict", outcome)]


def test_a_pure_wheel_that_comes_with_packages_needs_no_verdict():
    pure = entry("foo", verdicts="")
    pure = type(pure)(filename="foo-1.0-py3-none-any.whl", sha256=HASH, since=pure.since)
    file = PendingFile(entry=pure, before="", is_served=False)
    of = PendingRelease(project="foo", version="1.0", files=(file,))
    assert ask(of, rules("verdict")) == [("verdict", "passed")]


@pytest.mark.parametrize(
    ("days", "outcome"), [(0, "passed"), (3, "passed"), (4, "failed")], ids=str
)
def test_a_release_has_to_be_old_enough(days: int, outcome: str):
    assert ask(release(), rules("age", age=days * DAYS)) == [("age", outcome)]


@pytest.mark.parametrize("gate", ["measurement", "soak"])
def test_a_gate_of_which_nothing_is_known_refuses(gate: str):
    (missing,) = ask_gates(release(), rules(gate))
    assert (missing.outcome, missing.has_passed) == (GateOutcome.MISSING, False)


@pytest.mark.parametrize("gate", ["measurement", "soak"])
def test_a_result_that_was_handed_in_is_about_these_wheels_alone(gate: str):
    passed = GateResult(gate=gate, outcome=GateOutcome.PASSED, reason="no slower")
    worse = GateResult(gate=gate, outcome=GateOutcome.FAILED, reason="worse")
    for result in (passed, worse):
        by = rules(gate, results={gate: {frozenset({HASH}): result}})
        assert ask_gates(release(), by) == (result,)
    other = rules(gate, results={gate: {frozenset({"b" * 64}): passed}})
    assert ask(release(), other) == [(gate, "missing")]


def change(kind: ChangeKind, moved: str) -> ChannelChange:
    part = {"project": "foo", "version": "1.0", "moved": moved, "files": [{"sha256": HASH}]}
    return ChannelChange(kind=kind, at=0.0, by="ada", reason="it crashed", releases=[part])


def test_what_a_rollback_took_out_does_not_come_back_by_itself():
    back, forth = change("rollback", "out"), change("promotion", "in")
    taken_back = find_taken_back([back, forth])
    assert taken_back == {HASH: "ada took it back at 1970-01-01 00:00 UTC: it crashed"}
    assert ask(release(), rules(taken_back=taken_back)) == [("rollback", "failed")]
    assert find_taken_back([forth, back]) == {}
    assert ask(release(), rules()) == []
