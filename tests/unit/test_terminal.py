"""What a run prints when it ends."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from builder.report.terminal import progress, verdicts
from builder.store.evidence import Evidence
from tests.job_ids import job_id


def test_the_time_that_threads_add_is_told_by_package(tmp_path: Path):
    console = Console(file=io.StringIO(), width=200)
    watching = progress.make_observer(console)
    took = {
        "build:foo@debian-12": 900.0,
        "race:foo@debian-12": 61.0,
        "exercise:foo@debian-12": 9.0,
        "race:bar@debian-12": 10.0,
    }
    for job, seconds in took.items():
        evidence = Evidence(key=job, job=job_id(job), seconds=seconds)
        watching.on_job_end(evidence, known=job == "race:bar@debian-12")
    verdicts.print_verdicts(console, [], tmp_path, watching.times.seconds, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "40.0 s a package on average: foo 1:10, bar 10.0 s" in console.file.getvalue()


def test_a_run_without_threads_tells_no_time(tmp_path: Path):
    console = Console(file=io.StringIO(), width=200)
    verdicts.print_verdicts(console, [], tmp_path, {}, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "threads" not in console.file.getvalue()
