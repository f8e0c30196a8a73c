"""What a promotion moves along, and what it refuses."""

import datetime

import pytest

from builder.index.gates import Rules
from builder.index.manifest import Manifest
from builder.index.promotion import (
    Promotion,
    list_candidates,
    plan_promotion,
)
from builder.index.requirements import Requirements
from builder.index.rollout import record_difference
from tests.unit.index.channel_samples import entry, manifest, name, requirements

RULES = Rules(
    gates=("verdict",),
    age=datetime.timedelta(),
    verdicts=("compatible",),
    now=datetime.datetime(2026, 1, 4, tzinfo=datetime.UTC),
)
BAD = "cp314t unproven"


def plan(
    served: Manifest, canary: Manifest, needs: Requirements, *wanted: str, forced: bool = False
) -> Promotion:
    candidates = list_candidates(served, canary, RULES)
    names = wanted or tuple(candidate.release.name for candidate in candidates)
    return plan_promotion(candidates, names, served, canary, needs, forced=forced)


def moved(promotion: Promotion) -> dict[str, str]:
    return {item.release.name: item.needed_by for item in promotion.promoted}


def refusals(promotion: Promotion) -> dict[str, str]:
    return {item.release.name: item.refusal for item in promotion.refused}


def test_what_passes_is_served_and_what_does_not_says_which_gate():
    canary = manifest(entry("good"), entry("bad", verdicts=BAD))
    done = plan({}, canary, requirements())
    assert list(done.served) == ["good"]
    assert refusals(done) == {
        "bad==1.0": "gate verdict: unproven on cp314t: not a verdict that is promoted"
    }


def test_only_what_is_named_is_promoted():
    canary = manifest(entry("foo"), entry("bar"))
    assert moved(plan({}, canary, requirements(), "foo==1.0")) == {"foo==1.0": ""}


def test_what_a_release_needs_is_promoted_along():
    canary = manifest(entry("app"), entry("foo", "2.0"), entry("deep"))
    served = manifest(entry("foo", "1.0"))
    needs = requirements(app_1_0=["foo>=2"], foo_2_0=["deep"])
    done = plan(served, canary, needs, "app==1.0")
    assert moved(done) == {"app==1.0": "", "foo==2.0": "app==1.0", "deep==1.0": "foo==2.0"}
    assert done.served == canary


def test_what_needs_something_that_does_not_pass_is_refused_with_all_that_needs_it():
    canary = manifest(entry("app"), entry("foo"), entry("bad", verdicts=BAD), entry("free"))
    needs = requirements(app_1_0=["foo"], foo_1_0=["bad"])
    done = plan({}, canary, needs, "app==1.0", "free==1.0")
    assert moved(done) == {"free==1.0": ""}
    assert (
        "it needs foo: foo==1.0 is not promoted, as it needs bad: bad==1.0"
        in (refusals(done)["app==1.0"])
    )
    assert list(done.served) == ["free"]


def test_releases_that_need_one_another_go_together_or_not_at_all():
    needs = requirements(one_1_0=["two"], two_1_0=["one"])
    assert set(moved(plan({}, manifest(entry("one"), entry("two")), needs, "one==1.0"))) == {
        "one==1.0",
        "two==1.0",
    }
    half = plan({}, manifest(entry("one"), entry("two", verdicts=BAD)), needs)
    assert not half.promoted
    assert set(refusals(half)) == {"one==1.0", "two==1.0"}


@pytest.mark.parametrize(
    "need", ["elsewhere", "foo; python_version < '3'", 'foo; extra == "fast"', "foo>5"]
)
def test_what_canary_does_not_offer_or_nobody_asks_for_is_no_reason(need: str):
    canary = manifest(entry("app"), entry("foo", verdicts=BAD))
    assert moved(plan({}, canary, requirements(app_1_0=[need]), "app==1.0")) == {"app==1.0": ""}


def test_force_passes_the_gates_of_what_is_named_alone():
    canary = manifest(entry("bad", verdicts=BAD), entry("worse", verdicts=BAD))
    needs = requirements(bad_1_0=["worse"])
    alone = plan({}, canary, needs, "bad==1.0", forced=True)
    assert "worse==1.0 is not promoted" in refusals(alone)["bad==1.0"]
    assert not alone.promoted

    both = plan({}, canary, needs, forced=True)
    assert [item.is_forced for item in both.promoted] == [True, True]
    record = both.promoted[0].record()
    assert (record["forced"], record["gates"][0]["outcome"]) == (True, "failed")


def test_a_new_verdict_is_promoted_in_place():
    canary = manifest(entry("foo", verdicts="cp314t compatible"))
    served = manifest(entry("foo", verdicts=BAD))
    done = plan(served, canary, requirements())
    assert done.served == canary
    (file,) = done.promoted[0].record()["files"]
    assert (file["before"], file["after"]) == (BAD, "cp314t compatible")


def test_one_of_two_versions_is_promoted_beside_the_other():
    served = manifest(entry("foo", "1.0"), entry("foo", "2.0"))
    canary = manifest(entry("foo", "1.0"), entry("foo", "2.1"), entry("foo", "3.0", verdicts=BAD))
    done = plan(served, canary, requirements(), "foo==2.1")
    assert [one.filename for one in done.served["foo"]] == [
        name("foo", version) for version in ("1.0", "2.0", "2.1")
    ]
    assert plan(done.served, canary, requirements(), "foo==3.0", forced=True).served == canary


def test_the_record_of_a_rollback_says_what_went_and_what_came():
    before, after = (
        manifest(entry("foo", "2.0"), entry("same")),
        manifest(entry("foo", "1.0"), entry("same")),
    )
    records = record_difference(before, after)
    assert [(part["version"], part["moved"]) for part in records] == [("2.0", "out"), ("1.0", "in")]
