"""Progress of a run while it runs: a live display on a terminal, one line per event anywhere else."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from builder.evidence.build import BuildFacts
from builder.evidence.image import ImageFacts
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from builder.store.evidence import Evidence

_MINUTE_S = 60

_REFRESHES_PER_S = 4
"""Of the live display: often enough for seconds to count up smoothly, and cheap beside the builds."""

_THREAD_KINDS = frozenset({JobKind.RACE, JobKind.EXERCISE, JobKind.SPEED})

_OUTCOME_STYLES = {"ok": "green", "failed": "red", "?": "magenta"}
_OUTCOME_WIDTH = 6
"""Characters of the longest label, `failed`."""


def format_duration(seconds: float) -> str:
    """Return a duration as text: `4.2 s`, from a minute on `1:05`, from an hour on `2:00:05`."""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"

    minutes, whole_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{whole_seconds:02}"
    return f"{minutes}:{whole_seconds:02}"


def make_observer(console: Console) -> PlainObserver | LiveObserver:
    """Return what shows the progress of a run: a live display on a terminal, one line per event in a log or in CI."""
    is_ci = bool(os.environ.get("CI"))
    can_redraw = console.is_terminal and os.environ.get("TERM") != "dumb"
    if can_redraw and not is_ci:
        return LiveObserver(console)
    return PlainObserver(console)


class ThreadTimes:
    """How long the thread-safety checks of each package took, in seconds, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, evidence: Evidence) -> None:
        """Add the duration of a job to its package's time if it is a thread-safety check.

        For a job whose evidence was recorded already, that is the time which it took then.
        """
        if evidence.job.kind not in _THREAD_KINDS:
            return

        name = evidence.job.name
        self.seconds[name] = self.seconds.get(name, 0.0) + evidence.seconds


class PlainObserver:
    """Shows progress as one line per event, for logs and CI."""

    def __init__(self, console: Console) -> None:
        self.times = ThreadTimes()
        self._console = console
        self._started_at = time.monotonic()
        self._done = 0
        self._jobs = 0
        self._last_message = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, text: str) -> None:
        # One line for each of hundreds of packages would push everything else out of a log.
        if not text.startswith("sources: "):
            self._print_line(text)

    def on_plan(self, jobs: int, known: int) -> None:
        self._jobs = jobs
        self._done = 0
        self._print_line(f"{jobs} jobs: {known} known, {jobs - known} to run")

    def on_job_start(self, job: JobId) -> None:
        self._print_line(f"start  {job}")

    def on_job_message(self, job: JobId, text: str) -> None:
        if text != self._last_message:
            self._print_line(f"       {job}: {text}")
        self._last_message = text

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        """Print how a job ended; a job whose evidence was recorded already is only counted."""
        self._done += 1
        self.times.add(evidence)
        if known:
            return

        label = f"{outcome_label(evidence):{_OUTCOME_WIDTH}}"
        count = f"[{self._done}/{self._jobs}]"
        self._print_line(f"{label} {describe_finished(evidence)}  {count}")

    def _print_line(self, text: str) -> None:
        """Print a line that begins with the time since the start of the run."""
        elapsed = format_duration(time.monotonic() - self._started_at)
        self._console.print(
            f"{elapsed:>8}  {text}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


class LiveObserver:
    """Shows progress as a display that is redrawn: running jobs with their times, and how many wait.

    Lines about finished jobs are printed above the display, and scroll away.
    """

    def __init__(self, console: Console) -> None:
        self.times = ThreadTimes()
        self._console = console
        self._started_at = time.monotonic()
        self._running: dict[JobId, tuple[float, str]] = {}  # (started at, last message), by job
        self._jobs = 0
        self._done = 0
        self._message = ""
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        self._message = text

    def on_plan(self, jobs: int, known: int) -> None:  # noqa: ARG002 - the bar counts known jobs as they are met
        self._jobs = jobs
        self._done = 0

    def on_job_start(self, job: JobId) -> None:
        self._message = ""
        self._running[job] = (time.monotonic(), "")

    def on_job_message(self, job: JobId, text: str) -> None:
        """Show a job's message beside its name.

        A job that has ended meanwhile is not shown any more, so its message is dropped.
        """
        if job not in self._running:
            return

        started_at, _ = self._running[job]
        self._running[job] = (started_at, text)

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        """Print how a job ended, above the display; a job whose evidence was recorded already is only counted."""
        self._done += 1
        self.times.add(evidence)
        self._running.pop(evidence.job, None)
        if known:
            return

        label = outcome_label(evidence)
        line = Text(f"{label:{_OUTCOME_WIDTH}} {describe_finished(evidence)}")
        line.stylize(_OUTCOME_STYLES[label], 0, _OUTCOME_WIDTH)
        self._console.print(line)

    def _render(self) -> RenderableType:
        """Return the display: a line of totals, a line for each running job, and the last message."""
        now = time.monotonic()
        heading = format_duration(now - self._started_at)
        if self._jobs:
            waiting = self._jobs - self._done - len(self._running)
            heading += f"  {self._done} of {self._jobs} jobs done, "
            heading += f"{len(self._running)} running, {waiting} waiting"

        running = Table.grid(padding=(0, 2))
        for job, (started_at, message) in self._running.items():
            detail = Text(message, style="dim", overflow="ellipsis", no_wrap=True)
            running.add_row("  ", str(job), format_duration(now - started_at), detail)

        return Group(Text(heading, style="bold"), running, Text(self._message, style="dim"))


def describe_finished(evidence: Evidence) -> str:
    """Return a finished job's id with the time it took and, for an image, its size: `build:lxml@debian-12  1:05`."""
    text = f"{evidence.job}  {format_duration(evidence.seconds)}"
    if not evidence.is_determined or evidence.job.kind != JobKind.IMAGE:
        return text

    size = ImageFacts.read(evidence).bytes
    return text if size is None else f"{text}  {size / 1e6:.0f} MB"


def outcome_label(evidence: Evidence) -> str:
    """Return in one word how a job ended: `ok`, `failed` or `?`.

    `failed` means that a build made no wheel for some ABI, or that an image could not be made; `?` means that the job
    was not determined, i.e. that it gave no result.
    """
    if not evidence.is_determined:
        return "?"

    has_failed = False
    if evidence.job.kind == JobKind.BUILD:
        outcomes = BuildFacts.read(evidence).abis.values()
        has_failed = any(outcome.failure is not None for outcome in outcomes)
    elif evidence.job.kind == JobKind.IMAGE:
        has_failed = ImageFacts.read(evidence).tag is None

    return "failed" if has_failed else "ok"
