"""What a run prints when it ends: a table of verdicts, what to do about them, and where the results are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.report.styles import verdict_style
from builder.report.terminal.applications import print_applications
from builder.report.terminal.consoles import make_wide_console, print_table
from builder.report.terminal.progress import format_duration
from builder.verdicts import Verdict
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage
    from builder.report.documents.verdicts_json import Document

MAX_ROWS = 400
"""A longer table is not shown again where nothing changed: it would scroll the line that says so out of sight."""

_MAX_TIMES = 40
"""Packages whose time is listed, the slowest first: about a screenful, and the others add little."""

_RESULTS = (
    ("index", "simple/"),
    ("report", "report/index.html"),
    ("verdicts", "verdicts.json"),
    ("logs", "logs/"),
)
"""(label, path in the wheelhouse) of each result of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """What to do about a finding.

    Attributes:
        code: code of the finding.
        subject: the package that the finding is about, or the part of the farm that failed.
        text: what to do.
        log: the log to read, relative to the wheelhouse; empty if there is none.
    """

    code: str
    subject: str
    text: str
    log: str


def print_verdicts(
    console: Console,
    document: Document,
    remedies: Sequence[Remedy],
    wheelhouse: Path,
    times: Mapping[str, float],
    *,
    whole: bool,
) -> None:
    """Print the end of a run: the table of verdicts, what to do about faults, times, and where the results are.

    Args:
        console: where to print.
        document: verdicts of the packages that the run was asked for.
        remedies: what to do; see `collect_remedies`.
        wheelhouse: the folder of results, whose paths are printed.
        times: how long the thread-safety checks of each package took, in seconds, by name.
        whole: whether the run was about the whole matrix. Otherwise index, report and verdicts.json stay as they were,
            which is said too.
    """
    console.print()
    wide = make_wide_console(console)
    print_table(wide, _make_table(document))
    print_applications(wide, document.applications)
    _print_remedies(wide, remedies)
    _print_times(wide, times)
    if not whole:
        wide.print(
            "\nOnly a part of the matrix was run: index, report and verdicts.json stay as they are until a whole run.",
            highlight=False,
            soft_wrap=True,
        )
    _print_results(wide, wheelhouse)


def print_unchanged(
    console: Console,
    document: Document | None,
    wheelhouse: Path,
    *,
    run: str,
    jobs: int,
    verdicts: Mapping[str, int],
) -> None:
    """Print the end of a run in which nothing changed: the table of the last whole run, and counts of its verdicts.

    Args:
        console: where to print.
        document: verdicts of the last whole run; None to print no table.
        wheelhouse: the folder of results, whose paths are printed.
        run: id of the last whole run.
        jobs: number of its jobs.
        verdicts: how often each verdict occurs.
    """
    if document is not None:
        print_table(console, _make_table(document))
        print_applications(console, document.applications)

    counts = [f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdict in verdicts]
    text = f"nothing changed since run {run}: {jobs} jobs known; {', '.join(counts)}"
    console.print(f"\n{text}", highlight=False, soft_wrap=True)
    _print_results(console, wheelhouse)


def collect_remedies(judged: Sequence[JudgedPackage]) -> list[Remedy]:
    """Return what to do about each finding that decided a package's verdict, each remedy once.

    Other findings did not decide it, and are skipped.
    """
    remedies: dict[tuple[str, str], Remedy] = {}
    for package in judged:
        for judgement in package.abis.values():
            for finding in judgement.findings:
                if finding.verdict is judgement.verdict:
                    remedy = _make_remedy(package.name, finding)
                    remedies.setdefault((remedy.subject, remedy.code), remedy)

    return list(remedies.values())


def _make_remedy(name: str, finding: Finding) -> Remedy:
    """Return what to do about a finding: its own remedy or, without one, that of its code."""
    # An undetermined verdict is the farm's fault: named by the part that failed, it is listed once for all packages.
    subject = finding.where if finding.verdict is Verdict.UNDETERMINED else name
    return Remedy(
        code=finding.code,
        subject=subject,
        text=finding.remedy or finding.kind.remedy,
        log=finding.log,
    )


def _make_table(document: Document) -> Table:
    """Return the table of verdicts, with a row and a reason for each package and ABI.

    A package's name is shown only in the first of its rows.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("package", no_wrap=True)
    table.add_column("ABI", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason", overflow="fold")

    last_title = ""
    for package, abi, part in document.iter_verdicts():
        title = package.title
        shown_title = "" if title == last_title else title
        verdict = Text(part.verdict.value, style=verdict_style(part.verdict).terminal)
        table.add_row(shown_title, abi, verdict, Text(part.reason))
        last_title = title

    return table


def _print_remedies(console: Console, remedies: Sequence[Remedy]) -> None:
    """Print what to do, with the log to read; print nothing if there is nothing to do."""
    if not remedies:
        return

    console.print()
    console.print(Text("What to do", style="bold"))
    for remedy in remedies:
        console.print(Text(f"  {remedy.code} {remedy.subject}: {remedy.text}"))
        if remedy.log:
            console.print(Text(f"        log: {remedy.log}", style="dim"))


def _print_times(console: Console, times: Mapping[str, float]) -> None:
    """Print how long the thread-safety checks took: the mean, then the slowest packages. Print nothing without any."""
    if not times:
        return

    longest_first = sorted(times.items(), key=lambda pair: -pair[1])
    packages = [f"{name} {format_duration(seconds)}" for name, seconds in longest_first]
    mean = format_duration(sum(times.values()) / len(times))

    console.print()
    console.print(Text("Time spent on thread-safety checks", style="bold"))
    text = f"  {mean} a package on average: {join_names(packages, _MAX_TIMES)}"
    console.print(Text(text), soft_wrap=True)


def _print_results(console: Console, wheelhouse: Path) -> None:
    """Print the path of each result that is there; a run of only some packages may leave none."""
    console.print()
    for label, name in _RESULTS:
        path = wheelhouse / name
        if path.exists():
            console.print(f"{label:9} {path}", highlight=False, soft_wrap=True)
