"""verdicts.json says what held the code of packages, and an image job runs none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from builder.farm import execution
from builder.jobs.images.ids import INDEX_IMAGE
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store


class Engine:
    """Says what it contains with."""

    def record_containment(self) -> dict[str, Any]:
        return {"runc": "1.4"}


class Quiet:
    """Keeps which jobs started."""

    def __init__(self) -> None:
        self.started: list[JobId] = []

    def on_job_start(self, job: JobId) -> None:
        self.started.append(job)


def test_the_first_job_of_a_package_records_it_and_an_image_does_not(tmp_path: Path):
    build = JobId(JobKind.BUILD, "steady", "debian-12")
    observer = Quiet()
    with Store(tmp_path / "wheelhouse") as store:
        recorder = execution._ContainmentRecorder(observer, store)  # type: ignore[arg-type]
        recorder.engine = Engine()  # type: ignore[assignment]

        recorder.on_job_start(INDEX_IMAGE)
        assert store.get_note(execution.CONTAINMENT_NOTE) is None

        recorder.on_job_start(build)
        recorded = store.get_note(execution.CONTAINMENT_NOTE)
        assert json.loads(recorded or "") == {"runc": "1.4"}

    assert observer.started == [INDEX_IMAGE, build]
