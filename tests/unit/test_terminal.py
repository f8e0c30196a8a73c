"""What a run prints when it ends."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from builder.report.terminal import progress, verdicts
from builder.store.evidence import Evidence


def test_the_time_that_threads_add_is_told_by_package(tmp_path: Path):
    console = Console(file=io.StringIO(), width=200)
    watching = progress.make_observer(console)
    for job, seconds in {
        "build:foo@debian-12": 900.0, "race:foo@debian-12": 61.0, "exercise:foo@debian-12": 9.0, "race:bar@debian-12": 10.0,
    }.items():  # fmt: skip
        watching.on_job_end(
            Evidence(key=job, job=job, seconds=seconds), known=job.startswith("race:bar")
        )
    verdicts.print_verdicts(console, [], tmp_path, watching.times.seconds, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "40.0 s a package on average: foo 1:10, bar 10.0 s" in console.file.getvalue()


def test_a_run_without_threads_tells_no_time(tmp_path: Path):
    console = Console(file=io.StringIO(), width=200)
    verdicts.print_verdicts(console, [], tmp_path, {}, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "threads" not in console.file.getvalue()
