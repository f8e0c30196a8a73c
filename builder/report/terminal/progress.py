"""Live progress of a run."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from builder.store.evidence import Evidence


def format_duration(seconds: float) -> str:
    """Render a duration: `4.2 s`, `1:05`, `2:00:05`."""
    if seconds < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def make_observer(console: Console) -> PlainObserver | LiveObserver:
    """Return who watches: a live display on a terminal, plain lines anywhere else."""
    live = console.is_terminal and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
    return LiveObserver(console) if live else PlainObserver(console)


_THREAD_KINDS = frozenset({JobKind.RACE, JobKind.EXERCISE, JobKind.SPEED})


class ThreadTimes:
    """How long each package was put under threads, in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, evidence: Evidence) -> None:
        """Take in a job that ended now, or what it took when it ran."""
        if evidence.job.kind in _THREAD_KINDS:
            name = evidence.job.name
            self.seconds[name] = self.seconds.get(name, 0.0) + evidence.seconds


class PlainObserver:
    """One line per event."""

    def __init__(self, console: Console) -> None:
        self.times = ThreadTimes()
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
            self._print_line(text)

    def on_plan(self, jobs: int, known: int) -> None:
        self._jobs = jobs
        self._print_line(f"{jobs} jobs: {known} known, {jobs - known} to run")

    def on_job_start(self, job: JobId) -> None:
        self._print_line(f"start  {job}")

    def on_job_message(self, job: JobId, text: str) -> None:
        if text != self._last_said:
            self._print_line(f"       {job}: {text}")
        self._last_said = text

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        self._done += 1
        self.times.add(evidence)
        if not known:
            self._print_line(
                f"{outcome_label(evidence):6} {describe_finished(evidence)}  [{self._done}/{self._jobs}]"
            )

    def _print_line(self, text: str) -> None:
        self._console.print(
            f"{format_duration(time.monotonic() - self._began):>8}  {text}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


class LiveObserver:
    """What runs, how long already, what waits; finished jobs scroll away above."""

    def __init__(self, console: Console) -> None:
        self.times = ThreadTimes()
        self._console = console
        self._began = time.monotonic()
        self._running: dict[JobId, tuple[float, str]] = {}
        self._jobs = self._done = 0
        self._saying = ""
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._saying = text

    def on_plan(self, jobs: int, known: int) -> None:  # noqa: ARG002 - the bar counts known jobs as they are met
        self._jobs = jobs

    def on_job_start(self, job: JobId) -> None:
        self._saying = ""
        self._running[job] = (time.monotonic(), "")

    def on_job_message(self, job: JobId, text: str) -> None:
        if job in self._running:
            self._running[job] = (self._running[job][0], text)

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        self._done += 1
        self.times.add(evidence)
        self._running.pop(evidence.job, None)
        if not known:
            line = Text(f"{outcome_label(evidence):6} {describe_finished(evidence)}")
            line.stylize(
                {"ok": "green", "failed": "red"}.get(outcome_label(evidence), "magenta"), 0, 6
            )
            self._console.print(line)

    def _render(self) -> RenderableType:
        now = time.monotonic()
        waiting = self._jobs - self._done - len(self._running)
        head = f"{format_duration(now - self._began)}  {self._done} of {self._jobs} jobs done, "
        head += f"{len(self._running)} running, {waiting} waiting"
        running = Table.grid(padding=(0, 2))
        for job, (began, text) in self._running.items():
            running.add_row(
                "  ",
                str(job),
                format_duration(now - began),
                Text(text, style="dim", overflow="ellipsis", no_wrap=True),
            )
        return Group(
            Text(head if self._jobs else format_duration(now - self._began), style="bold"),
            running,
            Text(self._saying, style="dim"),
        )


def describe_finished(evidence: Evidence) -> str:
    """Return a job with the time it took and, of an image, its size."""
    size = f"  {evidence.facts['bytes'] / 1e6:.0f} MB" if "bytes" in evidence.facts else ""
    return f"{evidence.job}  {format_duration(evidence.seconds)}{size}"


def outcome_label(evidence: Evidence) -> str:
    """Return how a job ended in one word: `ok`, `failed` (the package is at fault) or `?` (it could not be told)."""
    if not evidence.is_determined:
        return "?"
    abis = evidence.facts.get("abis", {}).values()
    return (
        "failed" if any("failure" in abi for abi in abis) or "missing" in evidence.facts else "ok"
    )
