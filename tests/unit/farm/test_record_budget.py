"""What one package answers keeps no other from being merged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.config import catalog
from builder.config import matrix as matrices
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.farm import merge, record_budget
from builder.farm.record_budget import RecordRoom
from builder.plan import graph, shards
from builder.plan.graph import Plan
from builder.sources import Sources
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.unit.farm import shard_samples as samples

BUILD = JobId(JobKind.BUILD, "foo", "debian-12")
LOAD = JobId(JobKind.LOAD, "foo", "debian-12", "debian-12")


@pytest.fixture
def matrix(tmp_path: Path) -> matrices.Matrix:
    return samples.load_matrix(tmp_path)


@pytest.fixture
def run(tmp_path: Path, matrix: matrices.Matrix) -> tuple[Plan, dict[JobId, Evidence]]:
    """A run of `foo` and `bar`: the plan, and the evidence of every job."""
    with Store(tmp_path / "run") as store:
        found = samples.make_sources(store, ("foo", "bar"))
        evidence = samples.play(found, matrix, store, EffortLevel.QUICK)
    plan = graph.make_plan(
        matrix, found, {}, catalog.load(), Package(), EFFORTS.get(EffortLevel.QUICK)
    )
    return plan, evidence


def with_facts(evidence: dict[JobId, Evidence], job: JobId, **more: Any) -> dict[JobId, Evidence]:
    changed = replace(evidence[job], facts={**evidence[job].facts, **more})
    return {**evidence, job: changed}


def find_lost(kept: dict[JobId, Evidence]) -> set[JobId]:
    return {job for job, recorded in kept.items() if not recorded.is_determined}


def test_what_fits_stays_as_it_is(run: tuple[Plan, dict[JobId, Evidence]]):
    plan, evidence = run
    assert record_budget.fit_evidence(evidence, plan) == evidence


def test_the_largest_answer_of_the_largest_package_is_lost(
    run: tuple[Plan, dict[JobId, Evidence]],
):
    plan, evidence = run
    room = RecordRoom(bytes=200_000, items=1_000_000)
    large = with_facts(evidence, LOAD, more="x" * 60_000, again="x" * 60_000, third="x" * 60_000)
    large = with_facts(large, JobId(JobKind.AUDIT, "foo", "debian-12"), more="y" * 50_000)
    kept = record_budget.fit_evidence(large, plan, room)
    assert find_lost(kept) == {LOAD}
    assert kept[LOAD].facts == {"code": "WF904"}
    assert "180," in kept[LOAD].reason
    assert "leaves no room for other packages" in kept[LOAD].reason


def test_items_count_as_bytes_do(run: tuple[Plan, dict[JobId, Evidence]]):
    plan, evidence = run
    room = RecordRoom(bytes=10_000_000, items=50_000)
    large = with_facts(evidence, LOAD, more=[[]] * 100_000)
    assert find_lost(record_budget.fit_evidence(large, plan, room)) == {LOAD}


def test_what_stands_on_a_lost_answer_is_lost(run: tuple[Plan, dict[JobId, Evidence]]):
    plan, evidence = run
    large = with_facts(evidence, BUILD, more=["x" * 60_000] * 8)
    kept = record_budget.fit_evidence(large, plan, RecordRoom(bytes=300_000, items=1_000_000))
    lost = find_lost(kept)
    assert BUILD in lost
    assert {job.name for job in lost} == {"foo"}
    assert lost == {job for job in kept if job.name == "foo" and job.kind != JobKind.IMAGE}
    assert "build:foo@debian-12 has no result" in kept[LOAD].reason


@pytest.mark.parametrize(
    "more",
    [
        {"deep": eval("[" * 39 + "]" * 39)},
        {"longer": ["\x7f" * 16_000] * 1_000},  # each character is four when it is clean
        {"number": 1 << 70},
        {"number": float("inf")},
    ],
    ids=["deep", "longer", "integer", "float"],
)
def test_what_a_reader_would_refuse_is_lost(
    run: tuple[Plan, dict[JobId, Evidence]], more: dict[str, Any]
):
    plan, evidence = run
    kept = record_budget.fit_evidence(with_facts(evidence, LOAD, **more), plan)
    assert find_lost(kept) == {LOAD}
    assert "does not fit into the record of a shard" in kept[LOAD].reason


def test_the_others_are_merged(tmp_path: Path, matrix: matrices.Matrix):
    """The whole way: a shard with an answer that is too large is written, read and merged."""
    first = samples.make_shard(tmp_path / "1", 1, matrix, "bar", faults=("lost",))
    with Store(tmp_path / "2") as shard:
        found = samples.make_sources(shard, ("foo",))
        evidence = samples.play(found, matrix, shard, EffortLevel.QUICK)
        plan = graph.make_plan(
            matrix, found, {}, catalog.load(), Package(), EFFORTS.get(EffortLevel.QUICK)
        )
        large = with_facts(evidence, BUILD, limits={"deep": eval("[" * 60 + "]" * 60)})
        kept = record_budget.fit_evidence(large, plan)
        merge.write_record(
            shards.Shard(number=2, total=2), matrix, Sources(found=found), kept, shard.wheelhouse
        )
        second = shard.wheelhouse

    with Store(tmp_path / "merged") as store:
        merged = merge.merge_shards([first, second], matrix, store)
        assert not merged.evidence[BUILD].is_determined
        assert merged.evidence[JobId(JobKind.BUILD, "bar", "debian-12")].is_determined
