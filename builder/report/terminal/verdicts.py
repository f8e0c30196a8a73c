"""What a run prints when it ends: a table of verdicts, what to do about them, and where the results are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.report.styles import verdict_style
from builder.report.terminal.consoles import make_wide_console
from builder.report.terminal.progress import format_duration
from builder.verdicts import Verdict
from builder.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage
    from builder.report.document import Document

MAX_ROWS = 400
"""A longer table is not shown again where nothing changed: it would scroll the line that says so out of sight."""

_MAX_TIMES = 40
"""Packages whose time is listed, the slowest first: about a screenful, and the others hardly count."""

_RESULTS = (
    ("index", "simple/"),
    ("report", "report/index.html"),
    ("verdicts", "verdicts.json"),
    ("logs", "logs/"),
)
"""(label, path in the wheelhouse) of what a run leaves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """What to do about a finding.

    Attributes:
        subject: the package, or the part of the farm, that it is about.
        log: the log to read, relative to the wheelhouse; empty where there is none.
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
    """Print the end of a run: the table, what to do about what is wrong, and where the results are.

    Args:
        console: where to print.
        document: verdicts of the packages that were asked for.
        remedies: see `collect_remedies`.
        wheelhouse: the paths of its results are printed.
        times: how long the thread-safety checks of each package took, in seconds, by name.
        whole: whether that is all of the matrix; else index, report and verdicts.json stay as they were.
    """
    console.print()
    wide = make_wide_console(console)
    wide.print(_make_table(document))
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
    """Print the end of a run in which nothing changed: the last run's table and its sums.

    Args:
        console: where to print.
        document: verdicts of the last whole run; None prints the sums alone.
        wheelhouse: the paths of its results are printed.
        run: id of the last whole run.
        jobs: how many jobs it had.
        verdicts: how many packages have each verdict.
    """
    if document is not None:
        make_wide_console(console).print(_make_table(document))

    counts = [f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdict in verdicts]
    text = f"nothing changed since run {run}: {jobs} jobs known; {', '.join(counts)}"
    console.print(f"\n{text}", highlight=False, soft_wrap=True)
    _print_results(console, wheelhouse)


def collect_remedies(judged: Sequence[JudgedPackage]) -> list[Remedy]:
    """Return what to do about the findings that decided a verdict, each once."""
    remedies: dict[tuple[str, str], Remedy] = {}
    for package in judged:
        for judgement in package.abis.values():
            for finding in judgement.findings:
                if finding.verdict is judgement.verdict:
                    remedy = _make_remedy(package.name, finding)
                    remedies.setdefault((remedy.subject, remedy.code), remedy)

    return list(remedies.values())


def _make_remedy(name: str, finding: Finding) -> Remedy:
    # Where nothing could be determined, the farm is at fault: that is said once, not for every package.
    subject = finding.where if finding.verdict is Verdict.UNDETERMINED else name
    return Remedy(
        code=finding.code,
        subject=subject,
        text=finding.remedy or finding.kind.remedy,
        log=finding.log,
    )


def _make_table(document: Document) -> Table:
    """Return the table of verdicts by package and ABI, one reason each; a package's name is shown once."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("package", no_wrap=True)
    table.add_column("ABI", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason", overflow="fold")

    last_title = ""
    for package, abi, part in document.iter_verdicts():
        title = f"{package.name} {package.version}".strip()
        shown_title = "" if title == last_title else title
        verdict = Text(part.verdict.value, style=verdict_style(part.verdict).terminal)
        table.add_row(shown_title, abi, verdict, Text(part.reason))
        last_title = title

    return table


def _print_remedies(console: Console, remedies: Sequence[Remedy]) -> None:
    if not remedies:
        return

    console.print("\n[bold]What to do[/bold]")
    for remedy in remedies:
        console.print(Text(f"  {remedy.code} {remedy.subject}: {remedy.text}"))
        if remedy.log:
            console.print(Text(f"        log: {remedy.log}", style="dim"))


def _print_times(console: Console, times: Mapping[str, float]) -> None:
    if not times:
        return

    longest_first = sorted(times.items(), key=lambda pair: -pair[1])
    packages = [f"{name} {format_duration(seconds)}" for name, seconds in longest_first]
    mean = format_duration(sum(times.values()) / len(times))

    console.print("\n[bold]Time spent on thread-safety checks[/bold]")
    text = f"  {mean} a package on average: {join_names(packages, _MAX_TIMES)}"
    console.print(Text(text), soft_wrap=True)


def _print_results(console: Console, wheelhouse: Path) -> None:
    console.print()
    for label, name in _RESULTS:
        path = wheelhouse / name
        if path.exists():
            console.print(f"{label:9} {path}", highlight=False, soft_wrap=True)
