"""What was measured of releases that wait is what the gate `measurement` goes by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.evidence.kinds import schema_version
from builder.evidence.measurement import MeasurementFacts, ScenarioReadings
from builder.index import channels
from builder.index.channels import PromotionRequest
from builder.index.gates import GateOutcome
from builder.index.measurement_results import find_measurement_results
from builder.store.evidence import Evidence
from builder.store.store import Store
from tests.job_ids import job_id
from tests.unit.index.channel_samples import add_release, rollout, run
from tests.unit.measurement_samples import canary_facts, facts, readings

EQUAL = readings({"cp314/1": {}, "cp314 canary/1": {}})
WORSE = readings({"cp314/1": {}, "cp314 canary/1": {"p99": 1.12}})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


def record(store: Store, measured: MeasurementFacts, application: str = "shop") -> None:
    """Record a measurement as its job does."""
    job = job_id(f"measurement:{application}@debian-12/canary")
    key = f"{application} {len(store.all_evidence_of(job.kind, application))}"  # type: ignore[arg-type]
    version = schema_version(job.kind)
    store.put(Evidence(key=key, job=job, facts=measured.to_json(), facts_version=version))


def about(sha256: str, scenario: ScenarioReadings) -> MeasurementFacts:
    return canary_facts(scenario, hashes=(sha256,))


def test_a_canary_with_a_worse_p99_is_not_promoted_by_its_gate(store: Store):
    loaded = rollout("foo", gates=["measurement"])
    waiting = add_release(store, "foo")
    run(store, loaded, waiting)
    ada = PromotionRequest(by="ada")
    (unknown,) = channels.promote(store, loaded, ada).refused
    assert "`wheelfarm measure --canary` gives one" in unknown.refusal

    record(store, about(waiting.sha256, WORSE))
    (refused,) = channels.promote(store, loaded, ada).refused
    assert "shop on debian-12, measured 2026-11-27" in refused.refusal
    assert "list: p99 of cp314 canary/1 is worse: 1.1" in refused.refusal
    (candidate,) = channels.list_pending(store, loaded)
    assert [result.outcome for result in candidate.gates] == [GateOutcome.FAILED]

    record(store, about(waiting.sha256, EQUAL))
    assert [item.release.name for item in channels.promote(store, loaded, ada).promoted] == [
        "foo==1.0"
    ]


def test_a_run_promotes_by_itself_what_was_measured_well_and_nothing_else(store: Store):
    loaded = rollout("foo", "bar", gates=["measurement"], automatic=True)
    foo, bar = add_release(store, "foo"), add_release(store, "bar")
    record(store, about(foo.sha256, EQUAL))
    record(store, about(bar.sha256, WORSE))
    done = run(store, loaded, foo, bar)
    assert [item.release.name for item in done.promotion.promoted] == ["foo==1.0"]


def test_every_application_that_was_measured_has_a_say(store: Store):
    record(store, about("a", WORSE), "shop")
    record(store, about("a", EQUAL), "till")
    assert find_measurement_results(store)[frozenset("a")].outcome is GateOutcome.FAILED
    record(store, about("a", EQUAL), "shop")
    result = find_measurement_results(store)[frozenset("a")]
    assert (result.gate, result.outcome) == ("measurement", GateOutcome.PASSED)


def test_a_measurement_of_some_scenarios_does_not_hide_what_a_whole_one_said(store: Store):
    record(store, about("a", WORSE))
    record(store, about("a", EQUAL).model_copy(update={"is_whole": False}))
    assert find_measurement_results(store)[frozenset("a")].outcome is GateOutcome.FAILED


def test_a_comparison_of_interpreters_says_nothing_about_releases(store: Store):
    record(store, facts(readings({"cp313/1": {}, "cp314/1": {}})))
    assert find_measurement_results(store) == {}


def test_a_measurement_that_cannot_be_read_says_nothing(store: Store):
    job = job_id("measurement:shop@debian-12/canary")
    store.put(Evidence(key="1", job=job, facts={"colour": "red"}, facts_version=1))
    store.put(Evidence(key="2", job=job, facts={}, facts_version=99))
    assert find_measurement_results(store) == {}
