"""A wheelhouse with an application to measure, and what runs its jobs in place of a container engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from builder import index
from builder.config import matrix as matrices
from builder.config.matrix import Matrix
from builder.evidence.kinds import schema_version
from builder.evidence.measurement import MeasurementAnswer
from builder.farm import measure
from builder.index import ServedFile
from builder.jobs.measurement import Measurement
from builder.plan.graph import Plan
from builder.store.evidence import Evidence, JobOutcome
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.unit.measurement_samples import readings
from tests.unit.wheels import add_wheel

MATRIX = """
[farm]
bases = ["debian-12", "debian-13"]
[rollout]
gates = ["measurement"]
[packages.foo]
apt-run = ["libfoo1"]
[packages.bar]
[applications.shop]
lock = "shop.txt"
apt = ["libpq5"]
env = { A = 1 }
files = ["shop"]
[applications.shop.scenarios.list]
call = "shop:list_books"
threads = [1, 2]
thresholds = { p99 = "+10%" }
[applications.shop.scenarios.start]
command = "python -m shop"
[applications.quiet]
lock = "shop.txt"
"""
PURE = "bar-1.0-py3-none-any.whl"


def native(version: str, abi: str, python: str = "cp314") -> str:
    return f"foo-{version}-{python}-{abi}-manylinux_2_17_x86_64.whl"


def write_project(folder: Path) -> Matrix:
    """Write matrix, lock and files of the application; return the matrix."""
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("def list_books(): pass\n")
    (folder / "matrix.toml").write_text(MATRIX)
    (folder / "shop.txt").write_text("foo==1.0\nbar==1.0\n")
    return matrices.load(folder / "matrix.toml")


def publish(store: Store, *filenames: str, canary: tuple[str, ...] = ()) -> None:
    """Publish wheels in `simple/`, and with others in `canary/`."""
    served = describe(store, filenames)
    waiting = describe(store, (*filenames, *canary)) if canary else None
    index.publish(served, store, {}, canary=waiting)


def describe(store: Store, filenames: tuple[str, ...]) -> index.Manifest:
    files = [ServedFile(filename=name, sha256=add_wheel(store, name)) for name in filenames]
    return index.describe(files, store)


Execute = Callable[..., Mapping[JobId, Evidence]]


def play(
    monkeypatch: pytest.MonkeyPatch, ratios: Mapping[str, Mapping[str, float]], reason: str = ""
) -> list[Measurement]:
    """Let measurements come to readings without a container; return those that were asked for.

    Args:
        monkeypatch: of the test.
        ratios: by a variant's name, how many times of the baseline each metric is; 1 where it is not named.
        reason: why nothing was found out; empty where something was.
    """
    asked: list[Measurement] = []

    def execute(matrix: Matrix, plan: Plan, store: Store, *more: object) -> dict[JobId, Evidence]:
        assert matrix.applications
        assert len(more) == 3
        evidence: dict[JobId, Evidence] = {}
        for job in plan.jobs.values():
            if not isinstance(job, Measurement):
                continue
            asked.append(job)
            evidence[job.id] = record(store, job, ratios, reason, str(len(asked)))
        return evidence

    monkeypatch.setattr(measure, "execute_plan", execute)
    return asked


def record(
    store: Store,
    job: Measurement,
    ratios: Mapping[str, Mapping[str, float]],
    reason: str,
    key: str,
) -> Evidence:
    if reason:
        return Evidence(key=key, job=job.id, outcome=JobOutcome.UNDETERMINED, reason=reason)

    scenarios = []
    for name, scenario in job.scenarios.items():
        variants = [one.name for one in job.variants if one.threads in scenario.thread_counts]
        of_variants = {variant: ratios.get(variant, {}) for variant in variants}
        scenarios.append(readings(of_variants, name=name, seed=int(key)))
    result = job._make_result(MeasurementAnswer(errors={}, scenarios=tuple(scenarios)), {})
    facts = result.facts.to_json()
    version = schema_version(job.id.kind)
    evidence = Evidence(key=key, job=job.id, facts=facts, facts_version=version)
    store.put(evidence)
    return evidence
