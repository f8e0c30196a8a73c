"""What `wheelfarm check` shows a person."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from builder.verdicts import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.check.read import CheckedWheel
    from builder.judge.findings import Finding

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_MAX_COMPONENTS = 10
_MAX_ALIKE = 6
_PLURALS = {"extension": "extensions", "library": "libraries", "program": "programs"}
_PHASES = {"multi": "several phases", "single": "a single phase"}
_NOT_INSTALLABLE = "no interpreter of the farm takes it"


def render(checked: Sequence[CheckedWheel], console: Console) -> None:
    """Print each wheel with what it is, what it needs, what is wrong and what to do."""
    if not console.is_terminal:
        console = Console(width=max(console.width, 160), file=console.file, emoji=False)
    for one in checked:
        console.print(_render_heading(one))
        console.print(Padding(_facts_table(one), (0, 0, 0, 2)))
        for _, alike in groupby(one.findings, key=lambda finding: finding.code):
            _render_findings(list(alike), console)
        console.print()
    console.print(_summary(checked))


def _render_findings(alike: Sequence[Finding], console: Console) -> None:
    """Print the findings of one code: what it means once, then each, then what to do."""
    kind = alike[0].kind
    line = Text.assemble(
        (f"{kind.code} {kind.severity.value:7} ", _STYLES[kind.severity]), (kind.title, "bold")
    )
    console.print(Padding(line, (0, 0, 0, 2)))
    shown = alike[:_MAX_ALIKE]
    for finding in shown:
        console.print(Padding(Text(finding.detail), (0, 0, 0, 16)))
    if len(alike) > len(shown):
        console.print(
            Padding(
                Text(f"and {len(alike) - len(shown)} more: see --json", style="dim"), (0, 0, 0, 16)
            )
        )
    if kind.severity is not Severity.INFO:
        for remedy in dict.fromkeys(finding.remedy or kind.remedy for finding in shown):
            console.print(Padding(Text(f"→ {remedy}", style="dim"), (0, 0, 0, 16)))


def _render_heading(one: CheckedWheel) -> Text:
    mark, style = ("✗", "bold red") if one.severity is Severity.ERROR else ("✓", "bold green")
    if one.severity is Severity.WARNING:
        mark, style = "!", "bold yellow"
    return Text.assemble((f"{mark} ", style), (one.filename, "bold"))


def _facts_table(one: CheckedWheel) -> Table:
    table = Table.grid(padding=(0, 2))
    for label, text in _fact_rows(one):
        table.add_row(Text(label, style="dim"), Text(text, overflow="fold"))
    return table


def _fact_rows(one: CheckedWheel) -> Iterator[tuple[str, str]]:
    if not one.facts:
        return
    yield (
        "installs on",
        f"{', '.join(one.abis) or _NOT_INSTALLABLE}; {', '.join(one.bases) or 'no base'}",
    )
    objects = [facts for facts in one.facts["objects"].values() if "kind" in facts]
    kinds = Counter(facts["kind"] for facts in objects)
    counted = [f"{count} {kind if count == 1 else _PLURALS[kind]}" for kind, count in kinds.items()]
    yield "holds", ", ".join(counted) or "no native code"
    if built := Counter(facts["build"] for facts in objects if facts["build"]):
        yield "compiled for", ", ".join(f"{build} build" for build in built)
    for version, symbol, path in one.floors.values():
        yield "needs", f"{version:18} for {symbol or 'packed relocations'} in {path}"
    inits = [
        (facts["init"]["phases"], tuple(sorted(facts["init"]["slots"].items())))
        for facts in objects
        if facts["init"]
    ]
    phases = Counter(phases for phases, _ in inits if phases)
    if phases:
        declares = sum(dict(slots).get("gil") == 1 for _, slots in inits)
        text = ", ".join(f"{count} in {_PHASES[phase]}" for phase, count in phases.items())
        yield "initialises", f"{text}; {declares} declare statically that they do without the GIL"
    if one.facts["grafted"]:
        sbom = "with" if one.facts["sboms"] else "without"
        yield (
            "brings",
            f"{', '.join(path.rpartition('/')[2] for path in one.facts['grafted'])} ({sbom} an SBOM)",
        )
    if components := one.facts["components"]:
        named = list(dict.fromkeys(f"{name} {version}".strip() for name, version, _ in components))
        more = f" and {len(named) - _MAX_COMPONENTS} more" if len(named) > _MAX_COMPONENTS else ""
        yield "made of", f"{', '.join(named[:_MAX_COMPONENTS])}{more}"
    yield from (("loaded", text) for text in _describe_loads(one))
    reasons: dict[str, list[str]] = {}
    for place in one.not_loaded:
        reasons.setdefault(place.reason, []).append(f"{place.abi} on {place.base}")
    for reason, places in reasons.items():
        yield "not loaded", f"{', '.join(places)}: {reason}"


def _describe_loads(one: CheckedWheel) -> Iterator[str]:
    """Give by interpreter where a wheel was installed and imported, what that took, and the GIL's state after it."""
    for abi in dict.fromkeys(place.abi for place in one.loaded):
        places = [place for place in one.loaded if place.abi == abi]
        probes = [probe for place in places for probe in place.facts.get("modules", ())]
        took = [probe for probe in probes if "seconds" in probe]
        cost = ""
        if took:
            slowest = max(took, key=lambda probe: probe["seconds"])
            cost = f", {slowest['module']} in {slowest['seconds'] * 1000:.0f} ms at most"
            cost += f" and {max(probe['rss_bytes'] for probe in took) / 1e6:.1f} MB"
        turned = any(probe.get("gil", {}).get("after") for probe in probes)
        gil = f", the GIL {'is turned on' if turned else 'stays off'}" if abi.endswith("t") else ""
        yield f"{abi} on {', '.join(place.base for place in places)}{cost}{gil}"


def _summary(checked: Sequence[CheckedWheel]) -> Text:
    bad = sum(one.severity is Severity.ERROR for one in checked)
    warned = sum(one.severity is Severity.WARNING for one in checked)
    wheels = f"{len(checked)} wheel{'s' if len(checked) != 1 else ''}"
    verdict = f"{bad} with errors" if bad else "no errors"
    bases = list(dict.fromkeys(place.base for one in checked for place in one.loaded))
    how = f"read, and loaded on {', '.join(bases)}" if bases else "read, not loaded"
    missed = sum(bool(one.not_loaded) for one in checked)
    gaps = f", {missed} not loaded everywhere" if bases and missed else ""
    return Text(
        f"{wheels} {how}: {verdict}, {warned} with warnings only{gaps}",
        style="bold red" if bad else "bold green",
    )
