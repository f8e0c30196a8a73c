"""What a person watching sees: live progress, and a table of verdicts. Piped or in CI: plain lines."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from builder.judge.findings import Verdict
from builder.plan.schedule import kind_of, package_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from builder.farm.unchanged import Seal
    from builder.judge.package import Judged
    from builder.report.document import Document
    from builder.store.store import Evidence

_STYLES = {
    Verdict.COMPATIBLE: "bold green",
    Verdict.UNPROVEN: "green",
    Verdict.GIL_REQUIRED: "yellow",
    Verdict.UNDETERMINED: "bold magenta",
}
_FAULT_STYLE = "bold red"
MOST_ROWS = 400
"""A longer table is not shown again where nothing changed."""


def style_of(verdict: Verdict) -> str:
    """Return how a verdict is shown."""
    return _STYLES.get(verdict, _FAULT_STYLE)


def clock(seconds: float) -> str:
    """Render a duration: `4.2 s`, `1:05`, `2:00:05`."""
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def observer(console: Console) -> PlainObserver | LiveObserver:
    """Return who watches: a live display on a terminal, plain lines anywhere else."""
    live = console.is_terminal and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
    return LiveObserver(console) if live else PlainObserver(console)


_MOST_TIMES = 40
_UNDER_THREADS = frozenset({"race", "exercise", "speed"})


class Times:
    """How long each package was put under threads, in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, evidence: Evidence) -> None:
        """Take in a job that ended now, or what it took when it ran."""
        if kind_of(evidence.job) in _UNDER_THREADS:
            name = package_of(evidence.job)
            self.seconds[name] = self.seconds.get(name, 0.0) + evidence.seconds


class PlainObserver:
    """One line per event."""

    def __init__(self, console: Console) -> None:
        self.times = Times()
        self._console = console
        self._began = time.monotonic()
        self._done = 0
        self._jobs = 0
        self._last_said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, text: str) -> None:
        if not text.startswith("sources: "):
            self._line(text)

    def planned(self, jobs: int, known: int) -> None:
        self._jobs = jobs
        self._line(f"{jobs} jobs: {known} known, {jobs - known} to run")

    def started(self, job: str) -> None:
        self._line(f"start  {job}")

    def said(self, job: str, text: str) -> None:
        if text != self._last_said:
            self._line(f"       {job}: {text}")
        self._last_said = text

    def ended(self, evidence: Evidence, *, known: bool) -> None:
        self._done += 1
        self.times.add(evidence)
        if not known:
            self._line(f"{outcome(evidence):6} {finished(evidence)}  [{self._done}/{self._jobs}]")

    def _line(self, text: str) -> None:
        self._console.print(
            f"{clock(time.monotonic() - self._began):>8}  {text}", markup=False, highlight=False, soft_wrap=True
        )


class LiveObserver:
    """What runs, how long already, what waits; finished jobs scroll away above."""

    def __init__(self, console: Console) -> None:
        self.times = Times()
        self._console = console
        self._began = time.monotonic()
        self._running: dict[str, tuple[float, str]] = {}
        self._jobs = self._done = 0
        self._saying = ""
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._saying = text

    def planned(self, jobs: int, known: int) -> None:  # noqa: ARG002 - the bar counts known jobs as they are met
        self._jobs = jobs

    def started(self, job: str) -> None:
        self._saying = ""
        self._running[job] = (time.monotonic(), "")

    def said(self, job: str, text: str) -> None:
        if job in self._running:
            self._running[job] = (self._running[job][0], text)

    def ended(self, evidence: Evidence, *, known: bool) -> None:
        self._done += 1
        self.times.add(evidence)
        self._running.pop(evidence.job, None)
        if not known:
            line = Text(f"{outcome(evidence):6} {finished(evidence)}")
            line.stylize({"ok": "green", "failed": "red"}.get(outcome(evidence), "magenta"), 0, 6)
            self._console.print(line)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        waiting = self._jobs - self._done - len(self._running)
        head = f"{clock(now - self._began)}  {self._done} of {self._jobs} jobs done, "
        head += f"{len(self._running)} running, {waiting} waiting"
        running = Table.grid(padding=(0, 2))
        for job, (began, text) in self._running.items():
            running.add_row("  ", job, clock(now - began), Text(text, style="dim", overflow="ellipsis", no_wrap=True))
        return Group(
            Text(head if self._jobs else clock(now - self._began), style="bold"),
            running,
            Text(self._saying, style="dim"),
        )


def finished(evidence: Evidence) -> str:
    """Return a job with the time it took and, of an image, its size."""
    size = f"  {evidence.facts['bytes'] / 1e6:.0f} MB" if "bytes" in evidence.facts else ""
    return f"{evidence.job}  {clock(evidence.seconds)}{size}"


def outcome(evidence: Evidence) -> str:
    """Return how a job ended in one word: `ok`, `failed` (the package is at fault) or `?` (it could not be told)."""
    if not evidence.determined:
        return "?"
    abis = evidence.facts.get("abis", {}).values()
    return "failed" if any("failure" in abi for abi in abis) or "missing" in evidence.facts else "ok"


def verdict_table(judged: Sequence[Judged]) -> Table:
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
        table.add_row("" if title == shown else title, abi, Text(verdict.value, style=style_of(verdict)), Text(reason))
        shown = title
    return table


def print_unchanged(console: Console, sealed: Seal, document: Document | None, wheelhouse: Path) -> None:
    """End a run in which nothing changed: the table it left last time, if that is given, and the sums."""
    if document is not None:
        wide = console if console.is_terminal else Console(width=max(console.width, 160), file=console.file)
        wide.print(
            _table(
                (f"{package.name} {package.version}".strip(), abi, Verdict(part.verdict), part.reason)
                for package in document.packages
                for abi, part in package.abis.items()
            )
        )
    sums = ", ".join(f"{sealed.verdicts[verdict]} {verdict}" for verdict in Verdict if verdict in sealed.verdicts)
    text = f"nothing changed since run {sealed.run}: {sealed.jobs} jobs known; {sums}"
    console.print(f"\n{text}", highlight=False, soft_wrap=True)
    _print_places(console, wheelhouse)


def print_verdicts(
    console: Console, judged: Sequence[Judged], wheelhouse: Path, times: Mapping[str, float], *, whole: bool
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
    _print_places(console, wheelhouse)


def _print_times(console: Console, times: Mapping[str, float]) -> None:
    if not times:
        return
    longest = sorted(times.items(), key=lambda pair: -pair[1])
    listed = ", ".join(f"{name} {clock(seconds)}" for name, seconds in longest[:_MOST_TIMES])
    more = f" and {len(longest) - _MOST_TIMES} more" if len(longest) > _MOST_TIMES else ""
    mean = clock(sum(times.values()) / len(times))
    console.print("\n[bold]Time that threads add[/bold]")
    console.print(Text(f"  {mean} a package on average: {listed}{more}"), soft_wrap=True)


def _print_places(console: Console, wheelhouse: Path) -> None:
    console.print()
    places = ("index", "simple/"), ("report", "report/index.html"), ("verdicts", "verdicts.json"), ("logs", "logs/")
    for label, path in ((label, path) for label, path in places if (wheelhouse / path).exists()):
        console.print(f"{label:9} {wheelhouse / path}", highlight=False, soft_wrap=True)


def _print_remedies(console: Console, judged: Sequence[Judged]) -> None:
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
                console.print(Text(f"  {finding.code} {own or finding.where}: {finding.remedy or finding.kind.remedy}"))
                if finding.log:
                    console.print(Text(f"        log: {finding.log}", style="dim"))
