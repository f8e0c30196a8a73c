"""One run, without an engine: what is judged beside the evidence, and what a shard hands on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from builder.config.effort import EffortLevel
from builder.farm import run
from builder.farm.prepare import ResolvedRun, RunRequest
from builder.plan.graph import Plan
from builder.plan.shards import Shard
from builder.sources import Source, Sources
from builder.store.store import Store
from tests.unit.farm import shard_samples as samples
from tests.unit.local_index import archive


@pytest.mark.parametrize("shard", [None, Shard(number=1, total=1)])
def test_what_a_project_says_of_threads_is_judged_and_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shard: Shard | None
):
    judged: list[Sources] = []
    handed_on: list[Sources] = []

    def judge(matrix: object, sources: Sources, *more: object) -> tuple[()]:
        judged.append(sources)
        return ()

    def write(*arguments: Any) -> None:
        handed_on.append(arguments[4])

    with Store(tmp_path / "wheelhouse") as store:
        sdist = archive("tar.gz", {"foo-1.0/README.md": b"Boxes are not thread-safe."})
        source = Source(
            name="foo",
            version="1.0",
            kind="index",
            filename="foo-1.0.tar.gz",
            sha256=samples.add_content(store, sdist),
        )
        resolved = ResolvedRun(sources=Sources(found={"foo": source}), patches={})
        monkeypatch.setattr(run, "resolve", lambda *_: resolved)
        monkeypatch.setattr(run, "make_plan", lambda *_: Plan(jobs={}))
        monkeypatch.setattr(run, "execute_plan", lambda *_: {})
        monkeypatch.setattr(run, "judge_packages", judge)
        monkeypatch.setattr(run, "_write_shard", write)
        request = RunRequest(only=("foo",), shard=shard, effort=EffortLevel.NONE)
        observer: Any = None
        run.run(samples.load_matrix(tmp_path), store, request, observer, threading.Event())

    # What is resolved stays without it: plans, keys and fingerprints are made of that.
    assert resolved.sources.found["foo"].statement is None
    for sources in (*judged, *handed_on):
        statement = sources.found["foo"].statement
        assert statement is not None
        assert [quote.text for quote in statement.quotes] == ["Boxes are not thread-safe."]
    assert (len(judged), len(handed_on)) == (1, 0 if shard is None else 1)
