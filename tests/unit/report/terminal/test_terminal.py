"""What a run prints when it ends."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from builder.judge.findings import Finding
from builder.judge.package import JudgedPackage, Judgement
from builder.report.terminal import progress, verdicts
from builder.sources import Fault
from builder.store.evidence import Evidence
from builder.verdicts import Verdict
from tests.job_ids import job_id
from tests.unit.documents import abi, document


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
        facts: dict[str, object] = {"abis": {}} if job.startswith("build:") else {}
        evidence = Evidence(key=job, job=job_id(job), facts=facts, seconds=seconds)
        watching.on_job_end(evidence, known=job == "race:bar@debian-12")
    verdicts.print_verdicts(console, document({}), [], tmp_path, watching.times.seconds, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "40.0 s a package on average: foo 1:10, bar 10.0 s" in console.file.getvalue()


def test_a_run_without_threads_tells_no_time(tmp_path: Path):
    console = Console(file=io.StringIO(), width=200)
    verdicts.print_verdicts(console, document({}), [], tmp_path, {}, whole=True)
    assert isinstance(console.file, io.StringIO)
    assert "threads" not in console.file.getvalue()


def judged(name: str, *findings: Finding) -> JudgedPackage:
    verdict = findings[0].verdict
    assert verdict is not None
    judgements = {
        abi: Judgement(abi=abi, verdict=verdict, reason="why", findings=findings)
        for abi in ("cp314", "cp314t")
    }
    source = Fault(name=name, code="WF106", detail="")
    return JudgedPackage(name=name, version="1.0", source=source, abis=judgements)


def test_what_to_do_is_said_once_for_each_package_and_only_of_what_decides():
    decides = Finding(code="WF402", detail="no", log="logs/load/a.log", remedy="Read it.")
    does_not = Finding(code="WF306", detail="no", advisory=True)
    remedies = verdicts.collect_remedies([judged("a", decides, does_not), judged("b", decides)])
    assert [(remedy.subject, remedy.text, remedy.log) for remedy in remedies] == [
        ("a", "Read it.", "logs/load/a.log"),
        ("b", "Read it.", "logs/load/a.log"),
    ]


def test_what_concerns_the_farm_is_said_once_for_all_packages():
    silent = Finding(code="WF106", detail="no answer", where="source")
    assert silent.verdict is Verdict.UNDETERMINED
    remedies = verdicts.collect_remedies([judged("a", silent), judged("b", silent)])
    assert [remedy.subject for remedy in remedies] == ["source"]


def test_a_run_and_a_run_in_which_nothing_changed_print_the_same_table(tmp_path: Path):
    found = document({"foo": {"cp314": abi(), "cp314t": abi("racy", "threads race")}})
    console = Console(file=io.StringIO(), width=200)
    verdicts.print_verdicts(console, found, [], tmp_path, {}, whole=True)
    again = Console(file=io.StringIO(), width=200)
    verdicts.print_unchanged(again, found, tmp_path, run="r1", jobs=3, verdicts={"racy": 1})
    assert isinstance(console.file, io.StringIO)
    assert isinstance(again.file, io.StringIO)
    table = console.file.getvalue().strip()
    assert "racy" in table
    assert again.file.getvalue().startswith(table)
    assert "nothing changed since run r1: 3 jobs known; 1 racy" in again.file.getvalue()
