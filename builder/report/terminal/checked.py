"""What `wheelfarm check` shows a person."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builder.report.styles import SEVERITY_STYLES
from builder.report.terminal.consoles import make_wide_console
from builder.verdicts import Severity
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from builder.check.read import CheckedWheel, LoadResult
    from builder.evidence.audit import WheelFacts
    from builder.evidence.load import Probe
    from builder.judge.findings import Finding

_PLURALS = {"extension": "extensions", "library": "libraries", "program": "programs"}
_PHASES = {"multi": "several phases", "single": "a single phase"}
_NOT_INSTALLABLE = "no interpreter of the farm takes it"

_MAX_COMPONENTS = 10
"""Components of SBOMs that are listed: a Rust extension names all its crates, and --json has every one."""

_MAX_FINDINGS_OF_CODE = 6
"""Findings of one code that are listed: one cause often affects every object, and --json has them all."""

_GIL_NOT_USED = 1
"""The value of the slot Py_mod_gil that is called Py_MOD_GIL_NOT_USED in CPython's moduleobject.h."""

_UNDER_WHEEL = (0, 0, 0, 2)
_UNDER_FINDING = (0, 0, 0, 16)


def render(checked: Sequence[CheckedWheel], console: Console) -> None:
    """Print each wheel with what it is, what it needs, what is wrong with it and what to do; then a summary."""
    console = make_wide_console(console)
    for wheel in checked:
        console.print(_make_heading(wheel))
        console.print(Padding(_make_table(wheel), _UNDER_WHEEL))
        for _, findings_of_code in groupby(wheel.findings, key=lambda finding: finding.code):
            _print_findings(list(findings_of_code), console)
        console.print()

    console.print(_summarize(checked))


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print all findings of one code: the code's title once, then each finding, then the remedies.

    Only the first few findings are listed. Findings that only inform need no remedy.

    Args:
        findings: findings that share a code; not empty.
        console: where to print.
    """
    kind = findings[0].kind
    severity = max((finding.severity for finding in findings), key=lambda item: item.rank)
    label = f"{kind.code} {severity.value:7} "
    heading = Text.assemble((label, SEVERITY_STYLES[severity]), (kind.title, "bold"))
    console.print(Padding(heading, _UNDER_WHEEL))

    listed = findings[:_MAX_FINDINGS_OF_CODE]
    for finding in listed:
        console.print(Padding(Text(finding.detail), _UNDER_FINDING))
    hidden = len(findings) - len(listed)
    if hidden:
        console.print(Padding(Text(f"and {hidden} more: see --json", style="dim"), _UNDER_FINDING))

    if severity is Severity.INFO:
        return
    remedies = dict.fromkeys(finding.remedy or kind.remedy for finding in listed)
    for remedy in remedies:
        console.print(Padding(Text(f"→ {remedy}", style="dim"), _UNDER_FINDING))


def _make_heading(wheel: CheckedWheel) -> Text:
    """Return the wheel's file name with a mark for its worst finding: ✗ error, ! warning, ✓ neither."""
    mark, style = "✓", "bold green"
    if wheel.severity is Severity.ERROR:
        mark, style = "✗", "bold red"
    elif wheel.severity is Severity.WARNING:
        mark, style = "!", "bold yellow"

    return Text.assemble((f"{mark} ", style), (wheel.filename, "bold"))


def _make_table(wheel: CheckedWheel) -> Table:
    """Return the table of what a wheel is and needs; it is empty if the wheel could not be read.

    A topic about which there is nothing to say has no row.
    """
    table = Table.grid(padding=(0, 2))
    facts = wheel.facts
    if facts is None:
        return table

    topics = (
        ("installs on", _describe_targets(wheel)),
        ("contains", _describe_objects(facts)),
        ("compiled for", _describe_builds(facts)),
        ("needs", _describe_floors(wheel)),
        ("initialises", _describe_initialisation(facts)),
        ("bundles", _describe_libraries(facts)),
        ("components", _describe_components(facts)),
        ("loaded", _describe_loads(wheel)),
        ("not loaded", _describe_gaps(wheel)),
        ("threads", _describe_threads(wheel)),
    )
    for label, texts in topics:
        for text in texts:
            table.add_row(Text(label, style="dim"), Text(text, overflow="fold"))

    return table


def _describe_targets(wheel: CheckedWheel) -> list[str]:
    abis = ", ".join(wheel.abis) or _NOT_INSTALLABLE
    bases = ", ".join(wheel.bases) or "no base"
    return [f"{abis}; {bases}"]


def _describe_objects(facts: WheelFacts) -> list[str]:
    """Return how many native objects of each kind the wheel has: `3 extensions, 1 library`."""
    kinds = Counter(native.kind for native in facts.native_objects.values())
    if not kinds:
        return ["no native code"]

    counts: list[str] = []
    for kind, count in kinds.items():
        noun = kind if count == 1 else _PLURALS[kind]
        counts.append(f"{count} {noun}")

    return [", ".join(counts)]


def _describe_builds(facts: WheelFacts) -> list[str]:
    """Return the kinds of interpreter that the native objects were compiled for: with the GIL, without it, or both.

    The result is empty if no object shows it.
    """
    builds: dict[str, None] = {}
    for native in facts.native_objects.values():
        if native.build is not None:
            builds[native.build] = None
    if not builds:
        return []

    return [", ".join(f"{build} build" for build in builds)]


def _describe_floors(wheel: CheckedWheel) -> list[str]:
    """Return, for each family of symbol versions such as GLIBC, the newest version needed and what needs it.

    An object without a symbol needs the version for packed relocations.
    """
    rows: list[str] = []
    for version, symbol, path in wheel.floors.values():
        cause = symbol or "packed relocations"
        rows.append(f"{version:18} for {cause} in {path}")

    return rows


def _describe_initialisation(facts: WheelFacts) -> list[str]:
    """Return how many extension modules initialise in one phase or several, and how many declare to need no GIL.

    Objects without an init function (libraries, programs) are skipped. The result is empty if no module shows its
    phases.
    """
    phases: Counter[str] = Counter()
    without_gil = 0
    for native in facts.native_objects.values():
        if native.init is None:
            continue
        if native.init.phases is not None:
            phases[native.init.phases] += 1
        if native.init.slots.get("gil") == _GIL_NOT_USED:
            without_gil += 1

    if not phases:
        return []

    counts = ", ".join(f"{count} in {_PHASES[phase]}" for phase, count in phases.items())
    return [f"{counts}; {without_gil} declare statically that they do without the GIL"]


def _describe_libraries(facts: WheelFacts) -> list[str]:
    """Return the libraries that a repair tool such as auditwheel copied into the wheel; nothing if there are none."""
    if not facts.grafted:
        return []

    names = [path.rpartition("/")[2] for path in facts.grafted]
    sbom = "with" if facts.sboms else "without"
    return [f"{', '.join(names)} ({sbom} an SBOM)"]


def _describe_components(facts: WheelFacts) -> list[str]:
    """Return the components that the wheel's SBOMs name, each once; nothing if there are none."""
    components = dict.fromkeys(f"{name} {version}".strip() for name, version, _ in facts.components)
    if not components:
        return []

    return [join_names(list(components), _MAX_COMPONENTS)]


def _describe_loads(wheel: CheckedWheel) -> list[str]:
    """Return for each interpreter on which bases the wheel was imported, what that took, and the GIL's state after it.

    The state of the GIL is given only for free-threaded interpreters, which can be without it.
    """
    loads_by_abi: dict[str, list[LoadResult]] = {}
    for load in wheel.loaded:
        loads_by_abi.setdefault(load.abi, []).append(load)

    rows: list[str] = []
    for abi, loads in loads_by_abi.items():
        bases = ", ".join(load.base for load in loads)
        probes: list[Probe] = []
        for load in loads:
            probes += load.facts.modules

        row = f"{abi} on {bases}{_describe_cost(probes)}"
        is_free_threaded = abi.endswith("t")
        if is_free_threaded:
            has_gil = any(probe.gil is not None and probe.gil.after for probe in probes)
            state = "is turned on" if has_gil else "stays off"
            row += f", the GIL {state}"
        rows.append(row)

    return rows


def _describe_cost(probes: Iterable[Probe]) -> str:
    """Return the slowest import and the most memory among probes, i.e. among imports of one module each.

    `, lxml.etree in 31 ms at most and 12.3 MB`. An import that did not end has no time; the result is empty if none
    ended.
    """
    slowest_s = 0.0
    slowest_module = ""
    most_bytes = 0
    for probe in probes:
        if probe.seconds is None or probe.rss_bytes is None:
            continue
        most_bytes = max(most_bytes, probe.rss_bytes)
        if not slowest_module or probe.seconds > slowest_s:
            slowest_s = probe.seconds
            slowest_module = probe.module
    if not slowest_module:
        return ""

    return f", {slowest_module} in {slowest_s * 1000:.0f} ms at most and {most_bytes / 1e6:.1f} MB"


def _describe_gaps(wheel: CheckedWheel) -> list[str]:
    """Return where the wheel was not loaded although it claims to run there, grouped by the reason."""
    targets_by_reason: dict[str, list[str]] = {}
    for skipped_load in wheel.not_loaded:
        targets_by_reason.setdefault(skipped_load.reason, []).append(
            f"{skipped_load.abi} on {skipped_load.base}"
        )

    rows: list[str] = []
    for reason, targets in targets_by_reason.items():
        rows.append(f"{', '.join(targets)}: {reason}")

    return rows


def _describe_threads(wheel: CheckedWheel) -> list[str]:
    """Return how much of its native code threads called, or why they did not; nothing where it was not asked for."""
    trial = wheel.threads
    if trial is None:
        return []
    if trial.coverage is None:
        return [f"not tried: {trial.reason}"]

    coverage = trial.coverage
    detector = "with the race detector" if coverage.detector else "without the race detector"
    reach = f"{coverage.under_threads} of {coverage.callables} native callables"
    return [
        f"{trial.abi} on {trial.base}: {reach}, {coverage.pairs} pairs on one object, {detector}"
    ]


def _summarize(checked: Sequence[CheckedWheel]) -> Text:
    """Return the last line: how many wheels were checked and how, and how many have errors or warnings."""
    severities = Counter(wheel.severity for wheel in checked)
    errors = severities[Severity.ERROR]
    warnings = severities[Severity.WARNING]

    noun = "wheel" if len(checked) == 1 else "wheels"
    error_text = f"{errors} with errors" if errors else "no errors"
    text = f"{len(checked)} {noun} {_describe_manner(checked)}: {error_text}, {warnings} with warnings only"

    was_loaded = any(wheel.loaded for wheel in checked)
    incomplete_count = sum(bool(wheel.not_loaded) for wheel in checked)
    if was_loaded and incomplete_count:
        text += f", {incomplete_count} not loaded everywhere"

    return Text(text, style="bold red" if errors else "bold green")


def _describe_manner(checked: Sequence[CheckedWheel]) -> str:
    """Return how the wheels were checked: only read, or also loaded on some bases."""
    bases: dict[str, None] = {}
    for wheel in checked:
        for load in wheel.loaded:
            bases[load.base] = None
    if not bases:
        return "read, not loaded"

    return f"read, and loaded on {', '.join(bases)}"
