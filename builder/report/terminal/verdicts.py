"""What a person watching sees: live progress, and a table of verdicts. Piped or in CI: plain lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from builder.report.terminal.progress import format_duration
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from builder.judge.package import JudgedPackage
    from builder.report.document import Document

_STYLES = {
    Verdict.COMPATIBLE: "bold green",
    Verdict.UNPROVEN: "green",
    Verdict.GIL_REQUIRED: "yellow",
    Verdict.UNDETERMINED: "bold magenta",
}
_FAULT_STYLE = "bold red"
MAX_ROWS = 400
"""A longer table is not shown again where nothing changed."""


def verdict_style(verdict: Verdict) -> str:
    """Return how a verdict is shown."""
    return _STYLES.get(verdict, _FAULT_STYLE)


_MAX_TIMES = 40


def verdict_table(judged: Sequence[JudgedPackage]) -> Table:
    """Return the table of verdicts by package and ABI, one reason each."""
    return _table(
        (f"{package.name} {package.version}".strip(), abi, judgement.verdict, judgement.reason)
        for package in judged
        for abi, judgement in package.abis.items()
    )


def _table(rows: Iterable[tuple[str, str, Verdict, str]]) -> Table:
    """Return a table of (package, ABI, verdict, reason); a package's name is shown once."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("package", no_wrap=True)
    table.add_column("ABI", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("reason", overflow="fold")
    shown = ""
    for title, abi, verdict, reason in rows:
        table.add_row(
            "" if title == shown else title,
            abi,
            Text(verdict.value, style=verdict_style(verdict)),
            Text(reason),
        )
        shown = title
    return table


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
        wheelhouse: the places of its results are printed.
        run: id of the last whole run.
        jobs: how many jobs it had.
        verdicts: how many packages have each verdict.
    """
    if document is not None:
        wide = (
            console
            if console.is_terminal
            else Console(width=max(console.width, 160), file=console.file)
        )
        wide.print(
            _table(
                (
                    f"{package.name} {package.version}".strip(),
                    abi,
                    Verdict(part.verdict),
                    part.reason,
                )
                for package in document.packages
                for abi, part in package.abis.items()
            )
        )
    sums = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdict in verdicts)
    text = f"nothing changed since run {run}: {jobs} jobs known; {sums}"
    console.print(f"\n{text}", highlight=False, soft_wrap=True)
    _print_paths(console, wheelhouse)


def print_verdicts(
    console: Console,
    judged: Sequence[JudgedPackage],
    wheelhouse: Path,
    times: Mapping[str, float],
    *,
    whole: bool,
) -> None:
    """End a run: the table, what to do about what is wrong, and where things are.

    Args:
        console: where to.
        judged: what was asked for.
        wheelhouse: where things are.
        times: how long packages were put under threads, in seconds, by name.
        whole: whether that is all of the matrix; else index, report and verdicts.json stay as they were.
    """
    console.print()
    if not console.is_terminal:
        console = Console(width=max(console.width, 160), file=console.file)
    console.print(verdict_table(judged))
    _print_remedies(console, judged)
    _print_times(console, times)
    if not whole:
        console.print(
            "\nOnly a part of the matrix was asked for: index, report and verdicts.json are left to a whole run.",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    _print_paths(console, wheelhouse)


def _print_times(console: Console, times: Mapping[str, float]) -> None:
    if not times:
        return
    longest = sorted(times.items(), key=lambda pair: -pair[1])
    listed = ", ".join(
        f"{name} {format_duration(seconds)}" for name, seconds in longest[:_MAX_TIMES]
    )
    more = f" and {len(longest) - _MAX_TIMES} more" if len(longest) > _MAX_TIMES else ""
    mean = format_duration(sum(times.values()) / len(times))
    console.print("\n[bold]Time that threads add[/bold]")
    console.print(Text(f"  {mean} a package on average: {listed}{more}"), soft_wrap=True)


def _print_paths(console: Console, wheelhouse: Path) -> None:
    console.print()
    places = (
        ("index", "simple/"),
        ("report", "report/index.html"),
        ("verdicts", "verdicts.json"),
        ("logs", "logs/"),
    )
    for label, path in ((label, path) for label, path in places if (wheelhouse / path).exists()):
        console.print(f"{label:9} {wheelhouse / path}", highlight=False, soft_wrap=True)


def _print_remedies(console: Console, judged: Sequence[JudgedPackage]) -> None:
    seen: set[tuple[str, str]] = set()  # what concerns the farm is said once, not for every package
    for package in judged:
        for judgement in package.abis.values():
            for finding in judgement.findings:
                own = package.name if finding.verdict is not Verdict.UNDETERMINED else ""
                key = (own or finding.where, finding.code)
                if finding.verdict is not judgement.verdict or key in seen:
                    continue
                if not seen:
                    console.print("\n[bold]What to do[/bold]")
                seen.add(key)
                console.print(
                    Text(
                        f"  {finding.code} {own or finding.where}: {finding.remedy or finding.kind.remedy}"
                    )
                )
                if finding.log:
                    console.print(Text(f"        log: {finding.log}", style="dim"))
