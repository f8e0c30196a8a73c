"""A merge tries the applications of the matrix, for no shard has all that they need."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.config.matrix import Matrix
from builder.errors import EngineMissingError
from builder.farm import execution, run
from builder.farm.prepare import RunRequest
from builder.plan.graph import Plan
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict
from tests.unit.farm import shard_samples as samples

PUBLISH = "[farm]\npublish = ['import-failure']"
"""What the packages of the samples come to."""
TEXT = (
    samples.TEXT.replace("[farm]", PUBLISH)
    + "[applications.shop]\nlock = 'shop.txt'\nbases = ['debian-12']\n"
)
WELL = {"install": None, "imports": {"modules": 1, "failed": []}}


class Observer:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def merge(folder: Path) -> tuple[run.RunResult, Observer, list[dict[str, Any]]]:
    """Merge two shards of a matrix with an application; return also what verdicts.json has of that."""
    (folder / "shop.txt").write_text("bar==1.0\n")
    matrix = samples.load_matrix(folder, TEXT)
    samples.make_shard(folder / "one", 1, matrix, "bar", faults=("lost",))
    samples.make_shard(folder / "two", 2, matrix, "foo")
    observer = Observer()
    with Store(folder / "wheelhouse") as store:
        shards = [folder / "one", folder / "two"]
        merged = run.merge(matrix, store, shards, observer, threading.Event())  # type: ignore[arg-type]
        assert store.get_note(execution.CONTAINMENT_NOTE) is None
    document = json.loads((folder / "wheelhouse/verdicts.json").read_text())
    return merged, observer, document["applications"]


def test_applications_are_tried_with_the_index_that_was_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    plans: list[Plan] = []

    def execute(
        _matrix: Matrix, plan: Plan, store: Store, request: RunRequest, *_: object
    ) -> Mapping[JobId, Evidence]:
        assert request.is_whole_matrix
        plans.append(plan)
        store.set_note(execution.CONTAINMENT_NOTE, "{}")
        return {job: Evidence(key=str(job), job=job, facts=WELL) for job in plan.jobs}

    monkeypatch.setattr(run, "execute_plan", execute)
    merged, observer, parts = merge(tmp_path)
    (plan,) = plans
    kinds = {job.kind for job in plan.jobs}
    assert kinds == {JobKind.IMAGE, JobKind.APPLICATION}
    assert "trying the applications" in observer.said
    assert {part["abi"]: part["verdict"] for part in parts}["cp314"] in {
        "ready",
        "ready with risks",
    }
    assert len(merged.applications) == len(parts)


def test_without_an_engine_they_are_undetermined_and_it_is_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def execute(*_: object) -> Mapping[JobId, Evidence]:
        raise EngineMissingError([("unix:///none", "no such file")], "start one")

    monkeypatch.setattr(run, "execute_plan", execute)
    merged, observer, _ = merge(tmp_path)
    assert {one.verdict for one in merged.applications} == {ApplicationVerdict.UNDETERMINED}
    assert any(
        text.startswith("the applications are not tried: no container") for text in observer.said
    )
