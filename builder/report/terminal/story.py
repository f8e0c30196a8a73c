"""A package's whole story: source, verdicts, findings, wheels, imports, jobs and their logs.

It is read from the wheelhouse: verdicts.json as the last whole run wrote it, and the newest evidence of each job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from builder.errors import NoRecordError
from builder.evidence.kinds import is_readable
from builder.evidence.load import LoadFacts
from builder.report.documents import verdicts_json
from builder.report.site import safety, speeds
from builder.report.styles import SEVERITY_STYLES, verdict_style
from builder.report.terminal.consoles import print_table
from builder.report.terminal.progress import format_duration, outcome_label
from builder.store.job_ids import JobKind
from builder.untrusted.names import UntrustedNameError
from builder.untrusted.package_names import parse_package_name, project_of, version_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from builder.evidence.load import Declaration, Probe
    from builder.report.documents.findings import FindingPart
    from builder.report.documents.packages import AbiPart, PackagePart, SourcePart
    from builder.report.documents.thread_safety import ThreadSafetyPart, UpstreamPart
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_ORIGINS = {"index": "from the index", "local": "a local file"}

_MAX_RESULT_CHARS = 60
"""Characters of an error in the table of imports: its beginning names it, and the log has all of it."""

_SHA256_CHARS = 16
"""Characters of a hash that is shown: enough to compare by eye."""

_LOAD_HEADINGS = (
    "built on/loaded on",
    "ABI",
    "module",
    "result",
    "import",
    "memory",
    "native modules",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """Everything that is recorded about a package.

    Attributes:
        name: the package's canonical name.
        package: the package's part of verdicts.json; None if no whole run has judged it yet.
        jobs: the newest evidence of each of its jobs, the oldest first.
    """

    name: str
    package: PackagePart | None
    jobs: Sequence[Evidence]

    def record(self) -> dict[str, Any]:
        """Return the story as JSON data."""
        verdicts = None if self.package is None else self.package.model_dump(mode="json")
        jobs = [_job_json(job) for job in self.jobs]
        return {"name": self.name, "verdicts": verdicts, "jobs": jobs}


def _job_json(job: Evidence) -> dict[str, Any]:
    """Return the evidence of a job as JSON data."""
    return {
        "id": str(job.job),
        "key": job.key,
        "seconds": round(job.seconds, 2),
        "log": job.log,
        "facts": job.facts,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _ModuleLoad:
    """The result of importing one module in a process of its own.

    Attributes:
        bases: the base that the wheel was built on and the one it was loaded on, with a slash between.
        abi: name of the ABI.
        probe: what the import showed.
    """

    bases: str
    abi: str
    probe: Probe


def read(name: str, store: Store) -> Story:
    """Return everything that the wheelhouse has on record about a package.

    Evidence that this version of the farm cannot read is left out.

    Args:
        name: the package, in any spelling (PEP 503), with a version where there are several.
        store: the store of the wheelhouse.

    Raises:
        NoRecordError: nothing is recorded about it.
    """
    written = verdicts_json.read(store.wheelhouse)
    packages: dict[str, PackagePart] = {}
    if written is not None:
        packages = {package.name: package for package in written.packages}
    name = _find_name(name, packages)

    jobs = [job for job in store.newest_evidence_of(name) if is_readable(job)]
    story = Story(name=name, package=packages.get(name), jobs=jobs)
    if story.package is None and not story.jobs:
        raise NoRecordError(name, store.wheelhouse, tuple(packages))

    return story


def _find_name(text: str, packages: Mapping[str, PackagePart]) -> str:
    """Return the name of the package that a person means; `numpy==2.3.4` may be the one that is just named `numpy`."""
    try:
        name = parse_package_name(text)
    except UntrustedNameError:
        return text

    project = packages.get(project_of(name))
    if name in packages or project is None:
        return name
    return project.name if project.version == version_of(name) else name


def render(story: Story, console: Console) -> None:
    """Print a package's verdicts and findings, then tables of its imports and jobs; empty tables are left out."""
    if story.package is None:
        text = f"{story.name}: not judged yet; `wheelfarm run` judges it"
        console.print(Text(text, style="bold"))
    else:
        _render_package(story.package, console)

    loads = list(_iter_loads(story.jobs))
    if loads:
        _print_heading("Imports", console)
        print_table(console, _load_table(loads))
    if story.jobs:
        _print_heading("Jobs", console)
        print_table(console, _job_table(story.jobs))


def _print_heading(heading: str, console: Console) -> None:
    console.print()
    console.print(Text(heading, style="bold"))


def _render_package(package: PackagePart, console: Console) -> None:
    """Print a package's source, its verdict for each ABI and, if it was measured, its speed."""
    console.print(Text(package.title, style="bold"))
    _render_source(package.source, console)
    for abi, part in package.abis.items():
        _render_abi(abi, part, console)

    if package.speed is None:
        return
    _print_heading("Speed", console)
    for sentence in speeds.sentences(package.speed):
        console.print(Text(f"  {sentence}"), soft_wrap=True)


def _render_source(source: SourcePart, console: Console) -> None:
    """Print where the sdist came from, and which package requires this one if the matrix does not name it."""
    if source.kind != "none":
        origin = _ORIGINS[source.kind]
        sha256 = source.sha256[:_SHA256_CHARS]
        text = f"  source  {source.filename}, {origin}, sha256 {sha256}…"
        if not source.filename:
            text = f"  source  no sdist {origin}: upstream's wheels"
        elif source.take_from == "wheel":
            text += ", for the race detector alone: the wheels are upstream's"
        console.print(Text(text), soft_wrap=True)
    if source.needed_by:
        console.print(Text(f"  for     {source.needed_by}, which needs it"))


def _render_abi(abi: str, part: AbiPart, console: Console) -> None:
    """Print the verdict for an ABI with its reason, then wheels, the outcome on each base, and findings."""
    heading = Text(f"{abi}  ", style="bold")
    heading.append(part.verdict.value, style=verdict_style(part.verdict).terminal)
    heading.append(f"  {part.reason}", style="")
    console.print()
    console.print(heading)

    for wheel in part.wheels:
        origin = f"built on {wheel.base}"
        if wheel.origin == "upstream":
            origin = f"upstream's own, taken for {wheel.base}"
        if wheel.rust:
            origin += f" with Rust {wheel.rust}"
        text = f"  wheel   {wheel.filename}, {origin}, needs {wheel.floor}"
        console.print(Text(text), soft_wrap=True)
    if part.on:
        outcomes = [f"{base} {outcome}" for base, outcome in part.on.items()]
        console.print(Text(f"  bases   {', '.join(outcomes)}"), soft_wrap=True)
    if part.thread_safety is not None:
        _render_safety(part.thread_safety, console)
    for finding in part.findings:
        _render_finding(finding, console)


def _render_safety(part: ThreadSafetyPart, console: Console) -> None:
    """Print what threads may share and what they may not, with the callables that break."""
    console.print(Text(f"  threads {part.level}: {part.sentence}"), soft_wrap=True)
    for row in safety.list_broken(part)[: safety.MOST_NAMED]:
        needs = "" if row.needs is None else safety.NEED_WORDS[row.needs]
        end = "" if row.consequence is None else safety.CONSEQUENCE_WORDS[row.consequence]
        text = f"          {row.name}: {row.level}; threads share {needs}: {end}"
        console.print(Text(text), soft_wrap=True)
    untried = safety.name_not_tried(part)
    if untried:
        console.print(Text(f"          not tried: {untried}", style="dim"), soft_wrap=True)
    if part.upstream is not None:
        _render_upstream(part.upstream, console)


def _render_upstream(upstream: UpstreamPart, console: Console) -> None:
    """Print what the project says of threads itself, and where that is not what was measured."""
    texts: list[str] = []
    classifier = safety.explain_classifier(upstream)
    if classifier:
        texts.append(classifier)
    for quote in upstream.quotes:
        texts.append(f"“{quote.text}” {safety.place_of(quote)}")
    if upstream.disagreement:
        texts.append(f"but {upstream.disagreement}")

    for number, text in enumerate(texts):
        label = "says    " if number == 0 else " " * 8
        console.print(Text(f"  {label}{text}"), soft_wrap=True)


def _render_finding(finding: FindingPart, console: Console) -> None:
    """Print a finding with its remedy and, if there is one, the log to read; a fault under threads for people first."""
    details = f"{finding.title}: {finding.detail}"
    if finding.bases:
        details += f" [{', '.join(finding.bases)}]"
    line = Text(f"  {finding.code}   ", style=SEVERITY_STYLES[finding.severity])
    line.append(safety.capitalize(finding.headline) or details, style="")

    console.print(line, soft_wrap=True)
    console.print(Text(f"          {finding.remedy}", style="italic"), soft_wrap=True)
    if finding.headline:
        console.print(Text(f"          {details}", style="dim"), soft_wrap=True)
    if finding.log:
        console.print(Text(f"          log: {finding.log}", style="dim"), soft_wrap=True)


def _iter_loads(jobs: Sequence[Evidence]) -> Iterator[_ModuleLoad]:
    """Iterate over the imports of single modules that load jobs recorded.

    Other kinds of jobs, and load jobs without a result, are skipped.
    """
    for job in jobs:
        if job.job.kind != JobKind.LOAD or not job.is_determined:
            continue
        for abi, load in LoadFacts.read(job).loads.items():
            for probe in load.modules:
                yield _ModuleLoad(bases=job.job.bases, abi=abi, probe=probe)


def _load_table(loads: Sequence[_ModuleLoad]) -> Table:
    """Return the table of imports, one row per module, ABI and base."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in _LOAD_HEADINGS:
        table.add_column(heading, no_wrap=heading != "native modules", overflow="fold")
    for load in loads:
        table.add_row(*_load_cells(load))

    return table


def _load_cells(load: _ModuleLoad) -> tuple[str | Text, ...]:
    """Return the cells of an import's row; time and memory are empty if the import did not end."""
    probe = load.probe
    duration = "" if probe.seconds is None else f"{probe.seconds * 1000:.0f} ms"
    memory = "" if probe.rss_bytes is None else f"{probe.rss_bytes / (1 << 20):.1f} MiB"
    native_modules = [_describe_native(name, declared) for name, declared in probe.natives.items()]

    return (
        load.bases,
        load.abi,
        probe.module,
        _result_text(probe),
        duration,
        memory,
        "; ".join(native_modules),
    )


def _result_text(probe: Probe) -> Text:
    """Return the result of an import: how it failed or, for a free-threaded interpreter, whether the GIL stays off."""
    for failure in (probe.signal, probe.hang, probe.error):
        if failure is not None:
            return Text(failure[:_MAX_RESULT_CHARS], style="bold red")

    gil = probe.gil
    if gil is None or gil.before is not False:  # it was on before, or the build always has it
        return Text("imports", style="green")
    if gil.after:
        return Text("GIL on", style="yellow")
    return Text("GIL stays off", style="green")


def _describe_native(name: str, declared: Declaration) -> str:
    """Return a native module, i.e. an extension module (.so), with what it declares: `_x (multi-phase, GIL used)`."""
    details: list[str] = [declared.init or "init unknown"]
    if declared.gil:
        details.append(f"GIL {declared.gil}")
    if declared.interpreters:
        details.append(f"interpreters {declared.interpreters}")

    return f"{name} ({', '.join(details)})"


def _job_table(jobs: Sequence[Evidence]) -> Table:
    """Return the table of a package's jobs: outcome, id, duration and log."""
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    for job in jobs:
        log = Text(job.log, style="dim")
        table.add_row(outcome_label(job), str(job.job), format_duration(job.seconds), log)

    return table
