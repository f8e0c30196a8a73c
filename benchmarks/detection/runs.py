"""Runs the farm on labelled packages, and reads what each way of looking found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.detection.counts import contains_function, names_fault
from benchmarks.detection.labels import GIL, SAFE, Label
from benchmarks.farm import run_farm
from builder.store.store import Store
from tests.corpus import make_sdist

if TYPE_CHECKING:
    from builder.store.evidence import Evidence

METHODS = ("import", "own tests", "stress", "stress with sanitizer", "all")

BLAMED = frozenset({"distinct", "racy", "thread-unsafe"})
"""Verdicts that say of a package what threads must not do with it."""

UNPROVEN = "unproven"

NOT_MEASURED = "not measured"
"""In the place of a verdict, where the farm ended without one."""

_ABI = "cp314t"
_FARM = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What a run came to for one label.

    Attributes:
        label: the label.
        verdict: on cp314t.
        level: how safe the package is said to be under threads, empty where a run tells none.
        names_function: whether a finding names one of the label's functions; true where the label has none.
        found: by method, whether it blames the package; the verdict has to do so for the right function.
        blamed: by method, whether it blames the package, for whatever function.
        names: by method, whether what it shows names the fault.
        seconds: by method, what it took.
        failure: why nothing was measured; empty where something was.
    """

    label: Label
    verdict: str
    level: str
    names_function: bool
    found: dict[str, bool]
    blamed: dict[str, bool]
    names: dict[str, bool]
    seconds: dict[str, float]
    failure: str = ""


def examine(
    name: str, batch: list[Label], place: Path, effort: str, *, reads_only: bool = False
) -> list[Package]:
    """Run the farm on a batch of labelled packages, and return what it found of each.

    Where the farm cannot run, all are `NOT_MEASURED`. What it has evidence of in the folder, it does not do again.

    Args:
        name: of the set.
        batch: packages of the set, each once.
        place: for a matrix and a wheelhouse.
        effort: of the run.
        reads_only: whether nothing is run, and what is in the folder is read.
    """
    failure = ""
    if not reads_only:
        failure = _run_batch(name, batch, place, effort)

    return read_run(batch, place / "wheelhouse", failure)


def _run_batch(name: str, batch: list[Label], place: Path, effort: str) -> str:
    """Run the farm on some packages; return why that failed, or nothing."""
    place.mkdir(parents=True, exist_ok=True)
    tables = [render_table(name, label, place) for label in batch]
    tables += render_required(batch)
    matrix = place / "matrix.toml"
    matrix.write_text(_FARM + "".join(tables))
    try:
        run_farm(matrix, place / "wheelhouse", effort)
    except RuntimeError as error:
        return str(error)

    return ""


def render_table(name: str, label: Label, place: Path) -> str:
    """Return the matrix's table for a label; a package of the corpus is packed beside the matrix."""
    if name == "releases":
        apt = json.dumps(label.own_apt)
        return f'[packages.{label.package}]\nversion = "=={label.version}"\napt = {apt}\n'

    sdist = make_sdist(label.package, place)
    return f'[packages.{label.package}]\nsdist = "{sdist.name}"\n'


def render_required(batch: list[Label]) -> list[str]:
    """Return the matrix's tables for what labels of a batch require, unless it is in the batch itself."""
    required: dict[str, list[str]] = {}
    for label in batch:
        required |= label.required
    for label in batch:
        required.pop(label.package, None)

    return [f"[packages.{name}]\napt = {json.dumps(apt)}\n" for name, apt in required.items()]


def read_run(labels: list[Label], wheelhouse: Path, failure: str = "") -> list[Package]:
    """Return what a wheelhouse has of labelled packages, and print a line about each.

    Args:
        labels: of the packages.
        wheelhouse: of the run.
        failure: why the run failed; empty where it did not.
    """
    document_path = wheelhouse / "verdicts.json"
    if failure or not document_path.exists():
        reason = failure or f"there is no {document_path.name}"
        print(f"{NOT_MEASURED}, {reason}: {', '.join(label.package for label in labels)}")
        return [make_unmeasured(label, reason) for label in labels]

    document = json.loads(document_path.read_text())
    parts: dict[str, dict[str, Any]] = {}
    for package in document["packages"]:
        parts[package["name"]] = package["abis"].get(_ABI)

    packages: list[Package] = []
    with Store(wheelhouse) as store:
        for label in labels:
            package = _read_label(label, parts.get(label.package), store)
            packages.append(package)
            print(
                f"{label.package:14} {label.version:8} expected {label.expected:14} "
                f"verdict {package.verdict:14} {'' if package.names_function else 'another function'}"
            )

    return packages


def _read_label(label: Label, part: dict[str, Any] | None, store: Store) -> Package:
    """Return what a run has of a package; nothing was measured where its document lacks it."""
    if part is None:
        return make_unmeasured(label, "verdicts.json has no such package")

    evidence = {item.job.kind: item for item in store.newest_evidence_of(label.package)}
    return read_package(label, part, evidence)


def make_unmeasured(label: Label, failure: str) -> Package:
    """Return that nothing was measured of a package: each method missed what there is."""
    nothing = dict.fromkeys(METHODS, False)
    return Package(
        label=label,
        verdict=NOT_MEASURED,
        level="",
        names_function=False,
        found=nothing,
        blamed=nothing,
        names=nothing,
        seconds=dict.fromkeys(METHODS, 0.0),
        failure=failure,
    )


def read_package(label: Label, part: dict[str, Any], evidence: dict[str, Evidence]) -> Package:
    """Return what each way of looking says of a package.

    Args:
        label: what is known of it.
        part: of verdicts.json, the package on cp314t.
        evidence: of the package, by kind of job.
    """
    verdict: str = part["verdict"]
    turns_gil_on = verdict == GIL
    names_function = names_one_of(label.functions, part["findings"])
    is_blamed = turns_gil_on
    names_it = True
    if label.expected != GIL:
        # What ended a process leaves a verdict unproven, also where faults were shown beside it.
        shows_fault = any(finding.get("needs") for finding in part["findings"])
        is_blamed = verdict in BLAMED or (verdict == UNPROVEN and shows_fault)
        names_it = names_function or label.expected == SAFE

    load = evidence.get("load")
    race = evidence.get("race")
    exercise = evidence.get("exercise")
    tests = (exercise.facts.get("own_tests") if exercise else None) or {}
    harms = _list_harms(exercise)
    reports = _list_reports(race)

    load_s = load.seconds if load else 0.0
    race_s = race.seconds if race else 0.0
    exercise_s = exercise.seconds if exercise else 0.0
    tests_text = json.dumps([tests.get("crash_stack"), tests.get("findings")])

    blamed = {
        "import": turns_gil_on,
        "own tests": bool(tests.get("crash") or tests.get("findings")),
        "stress": bool(harms),
        "stress with sanitizer": bool(reports),
        "all": is_blamed,
    }
    names = {
        "import": label.expected == GIL,
        "own tests": names_fault(label, tests_text),
        "stress": names_fault(label, _describe_places(harms)),
        "stress with sanitizer": names_fault(label, _describe_places(reports)),
        "all": names_it,
    }
    return Package(
        label=label,
        verdict=verdict,
        level=(part.get("thread_safety") or {}).get("level", ""),
        names_function=names_function,
        found={**blamed, "all": is_blamed and names_it},
        blamed=blamed,
        names=names,
        seconds={
            "import": load_s,
            "own tests": tests.get("seconds") or 0.0,
            "stress": exercise_s,
            "stress with sanitizer": race_s,
            "all": exercise_s + race_s,
        },
    )


def _list_harms(exercise: Evidence | None) -> list[dict[str, Any]]:
    """Return the harm that threads did with the plain wheel, without being led there by the race detector."""
    if exercise is None:
        return []

    harms: list[dict[str, Any]] = exercise.facts.get("harms", [])
    return [harm for harm in harms if harm.get("shown") and not harm["steered"]]


def _list_reports(race: Evidence | None) -> list[dict[str, Any]]:
    """Return the races that the sanitizer's build showed, and the harm."""
    if race is None:
        return []

    harms: list[dict[str, Any]] = race.facts.get("harms", [])
    return [*race.facts.get("races", []), *(harm for harm in harms if harm.get("shown"))]


def _describe_places(events: list[dict[str, Any]]) -> str:
    """Return the functions that some events name: those behind it, or else all that the calls reach."""
    names: list[str] = []
    for event in events:
        for side in event.get("sides", ()):
            names += [side["function"], side["place"]]
        names += event.get("places", ())
        if not event.get("sides"):
            names += (event.get("calls") or {}).get("natives", ())

    return " ".join(names)


def names_one_of(functions: tuple[str, ...], findings: list[dict[str, Any]]) -> bool:
    """Return whether a finding on threads names one of a label's functions; true where the label has none."""
    texts: list[str] = []
    for finding in findings:
        if finding["code"].startswith("WF6"):
            texts.append(f"{finding['where']} {finding['detail']}")

    return contains_function(functions, " ".join(texts))
