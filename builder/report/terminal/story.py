"""A package's whole story: source, verdicts, findings, wheels, what loading showed, jobs and their logs.

It is read from the wheelhouse: verdicts.json as the last whole run wrote it, and the newest evidence of each job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from rich.table import Table
from rich.text import Text

from builder.errors import NoRecordError
from builder.evidence.kinds import is_readable
from builder.report import document
from builder.report.site import speeds
from builder.report.terminal.progress import format_duration, outcome_label
from builder.report.terminal.verdicts import verdict_style
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from builder.report.document import AbiPart, FindingPart, PackagePart
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_SEVERITIES = {"error": "bold red", "warning": "yellow", "info": "dim"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What is known of a package.

    Attributes:
        package: its part of verdicts.json; None where no whole run has judged it yet.
        jobs: the newest evidence of each of its jobs, the oldest first.
    """

    name: str
    package: PackagePart | None
    jobs: Sequence[Evidence]

    def record(self) -> dict[str, Any]:
        """Return the story as JSON data."""
        return {
            "name": self.name,
            "verdicts": None if self.package is None else self.package.model_dump(mode="json"),
            "jobs": [
                {
                    "id": job.job,
                    "key": job.key,
                    "seconds": round(job.seconds, 2),
                    "log": job.log,
                    "facts": job.facts,
                }
                for job in self.jobs
            ],
        }


def read(name: str, store: Store) -> Story:
    """Read a package's story.

    Args:
        name: the package, spelt in any way (PEP 503).
        store: the wheelhouse.

    Raises:
        NoRecordError: the wheelhouse knows nothing of it.
    """
    name = str(canonicalize_name(name))
    written = document.read(store.wheelhouse)
    packages = {package.name: package for package in written.packages} if written else {}
    jobs = [job for job in store.newest_evidence_of(name) if is_readable(job)]
    story = Story(name=name, package=packages.get(name), jobs=jobs)
    if story.package is None and not story.jobs:
        raise NoRecordError(name, store.wheelhouse, tuple(packages))
    return story


def render(story: Story, console: Console) -> None:
    """Print a story for a person."""
    if story.package is None:
        console.print(
            Text(f"{story.name}: not judged yet; `wheelfarm run` judges it", style="bold")
        )
    else:
        _render_package(story.package, console)
    loads = list(_iter_loads(story.jobs))
    if loads:
        console.print("\n[bold]What importing showed[/bold]")
        console.print(_load_table(loads))
    if story.jobs:
        console.print("\n[bold]Jobs[/bold]")
        console.print(_job_table(story.jobs))


def _render_package(package: PackagePart, console: Console) -> None:
    source = package.source
    console.print(Text(f"{package.name} {package.version}", style="bold"))
    if source.kind != "none":
        origin = {"index": "from the index", "local": "a local file"}[source.kind]
        console.print(
            Text(f"  source  {source.filename}, {origin}, sha256 {source.sha256[:16]}…"),
            soft_wrap=True,
        )
    if source.needed_by:
        console.print(Text(f"  for     {source.needed_by}, which needs it"))
    for abi, part in package.abis.items():
        _render_abi(abi, part, console)
    if package.speed is not None:
        console.print("\n[bold]How fast it is[/bold]")
        for sentence in speeds.sentences(package.speed):
            console.print(Text(f"  {sentence}"), soft_wrap=True)


def _render_abi(abi: str, part: AbiPart, console: Console) -> None:
    console.print()
    head = Text(f"{abi}  ", style="bold")
    console.print(
        head.append(part.verdict, style=verdict_style(Verdict(part.verdict))).append(
            f"  {part.reason}", style=""
        )
    )
    for wheel in part.wheels:
        console.print(
            Text(f"  wheel   {wheel.filename}, built on {wheel.base}, needs {wheel.floor}"),
            soft_wrap=True,
        )
    if part.on:
        console.print(
            Text(f"  bases   {', '.join(f'{base} {said}' for base, said in part.on.items())}"),
            soft_wrap=True,
        )
    for finding in part.findings:
        _render_finding(finding, console)


def _render_finding(finding: FindingPart, console: Console) -> None:
    line = Text(f"  {finding.code}   ", style=_SEVERITIES[finding.severity])
    bases = f" [{', '.join(finding.bases)}]" if finding.bases else ""
    console.print(
        line.append(f"{finding.title}: {finding.detail}{bases}", style=""), soft_wrap=True
    )
    console.print(Text(f"          {finding.remedy}", style="italic"), soft_wrap=True)
    if finding.log:
        console.print(Text(f"          log: {finding.log}", style="dim"), soft_wrap=True)


def _iter_loads(jobs: Sequence[Evidence]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Give (builds and base, ABI, module facts) of every module that was imported alone."""
    for job in jobs:
        for abi, facts in job.facts.get("loads", {}).items():
            for module in facts.get("modules", ()):
                yield job.job.partition("@")[2], abi, module


def _load_table(loads: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for title in (
        "built on/loaded on",
        "ABI",
        "module",
        "result",
        "import",
        "memory",
        "native modules",
    ):
        table.add_column(title, no_wrap=title != "native modules", overflow="fold")
    for place, abi, module in loads:
        seconds, rss = module.get("seconds"), module.get("rss_bytes")
        table.add_row(
            place,
            abi,
            module["module"],
            _result_text(module),
            "" if seconds is None else f"{seconds * 1000:.0f} ms",
            "" if rss is None else f"{rss / (1 << 20):.1f} MiB",
            "; ".join(
                _describe_native(name, declared)
                for name, declared in module.get("natives", {}).items()
            ),
        )
    return table


def _result_text(module: Mapping[str, Any]) -> Text:
    for key in ("signal", "hang", "error"):
        if key in module:
            return Text(str(module[key])[:60], style="bold red")
    gil = module.get("gil", {})
    if gil.get("before") is False:
        return (
            Text("GIL on", style="yellow")
            if gil.get("after")
            else Text("GIL stays off", style="green")
        )
    return Text("imports", style="green")


def _describe_native(name: str, declared: Mapping[str, Any]) -> str:
    slots = [f"GIL {declared['gil']}"] if declared["gil"] else []
    slots += [f"interpreters {declared['interpreters']}"] if declared["interpreters"] else []
    return f"{name} ({', '.join((declared['init'] or 'init unknown', *slots))})"


def _job_table(jobs: Sequence[Evidence]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    for job in jobs:
        table.add_row(
            outcome_label(job), job.job, format_duration(job.seconds), Text(job.log, style="dim")
        )
    return table
