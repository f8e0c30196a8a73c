"""A clock that is set back neither loses what is newest nor calls it old."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.store import publications
from builder.store.evidence import Evidence
from builder.store.files import atomic_write
from builder.store.job_ids import JobId
from builder.store.store import Store

JOB = JobId("build", "foo", "debian-12")
DAY_S = 86_400


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as a list of one, which a test sets."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def test_the_newest_snapshot_stays_the_newest(
    store: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publications, "MAX_SNAPSHOTS", 2)
    made = []
    for number in range(4):
        made.append(
            store.publications.add_snapshot({"simple": {"foo": f"{number}"}}, lambda *_: "[]")
        )
        assert store.publications.current_snapshot() == made[-1]
        clock[0] -= DAY_S
    assert [row[0] for row in store.publications.snapshots()] == [made[3], made[2]]
    store.database.execute("VACUUM")
    # Published again, it is the newest again.
    store.publications.add_snapshot({"simple": {"foo": "2"}}, lambda *_: "[]")
    assert [row[0] for row in store.publications.snapshots()] == [made[2], made[3]]


def test_runs_and_their_verdicts_stay_in_order(
    store: Store, clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(publications, "MAX_RUNS", 2)
    runs = []
    for _ in range(4):
        runs.append(store.publications.begin_run())
        store.publications.add_verdicts(runs[-1], [("foo", "1", "cp314", "compatible", "")])
        clock[0] -= DAY_S
    assert [row[0] for row in store.publications.runs()] == runs
    assert [row[0] for row in store.publications.verdicts()] == runs[2:]


def test_the_newest_evidence_is_what_was_recorded_last(store: Store, clock: list[float]):
    for number in range(3):
        store.put(
            Evidence(
                key=f"{number}",
                job=JOB,
                seconds=number,
                log=f"{number}",
                asked=f'{{"a": "{number}"}}',
            )
        )
        clock[0] -= DAY_S
    assert [evidence.key for evidence in store.newest_evidence_of("foo")] == ["2"]
    assert store.recorded_durations() == {JOB: 2}
    assert store.newest_logs() == {JOB: "2"}
    assert store.last_key_parts([JOB]) == {JOB: {"a": "2"}}
    assert [row[0] for row in store.retention.evidence_rows()] == ["0", "1", "2"]


def test_an_answer_from_the_future_is_asked_for_again(store: Store, clock: list[float]):
    store.record_resolution("a", 1)
    assert store.get_resolution("a", 60) == 1
    clock[0] -= 1
    assert store.get_resolution("a", 60) == 1
    clock[0] -= DAY_S
    assert store.get_resolution("a", 60) is None
    assert store.get_resolution("a", None) == 1


def test_the_longest_name_of_a_file_can_be_written(tmp_path: Path):
    target = tmp_path / ("x" * 255)
    with atomic_write(target) as aside:
        aside.write_text("whole")
    assert target.read_text() == "whole"
