"""Runs the farm on labelled packages, and reads what each way of looking found."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.detection.labels import GIL, SAFE, Label, split_into_batches
from benchmarks.farm import run_farm
from builder.store.store import Store
from tests.corpus import make_sdist

if TYPE_CHECKING:
    from builder.store.evidence import Evidence

METHODS = ("import", "own tests", "stress", "stress with sanitizer", "all")

BLAMED = frozenset({"distinct", "racy", "thread-unsafe"})
"""Verdicts that say of a package what threads must not do with it."""

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
        found: by method, whether it blames the package.
        seconds: by method, what it took.
    """

    label: Label
    verdict: str
    level: str
    names_function: bool
    found: dict[str, bool]
    seconds: dict[str, float]


def examine(name: str, labels: list[Label], folder: Path, effort: str) -> list[Package]:
    """Run the farm on labelled packages, and return what it found of each.

    Args:
        name: of the set.
        labels: its packages.
        folder: for a wheelhouse a batch.
        effort: of the run.
    """
    packages: list[Package] = []
    for number, batch in enumerate(split_into_batches(labels)):
        place = folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        tables = [render_table(name, label, place) for label in batch]
        matrix = place / "matrix.toml"
        matrix.write_text(_FARM + "".join(tables))
        wheelhouse = place / "wheelhouse"
        run_farm(matrix, wheelhouse, effort)
        packages += read_run(batch, wheelhouse)

    return packages


def render_table(name: str, label: Label, place: Path) -> str:
    """Return the matrix's table for a label; a package of the corpus is packed beside the matrix."""
    if name == "releases":
        apt = json.dumps(label.apt)
        return f'[packages.{label.package}]\nversion = "=={label.version}"\napt = {apt}\n'

    sdist = make_sdist(label.package, place)
    return f'[packages.{label.package}]\nsdist = "{sdist.name}"\n'


def read_run(labels: list[Label], wheelhouse: Path) -> list[Package]:
    """Return what a wheelhouse has of labelled packages, and print a line about each."""
    document = json.loads((wheelhouse / "verdicts.json").read_text())
    parts = {package["name"]: package["abis"][_ABI] for package in document["packages"]}
    store = Store(wheelhouse)
    packages: list[Package] = []
    for label in labels:
        evidence = {item.job.kind: item for item in store.newest_evidence_of(label.package)}
        package = read_package(label, parts[label.package], evidence)
        packages.append(package)
        print(
            f"{label.package:14} {label.version:8} expected {label.expected:14} "
            f"verdict {package.verdict:14} {'' if package.names_function else 'another function'}"
        )

    store.close()
    return packages


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
    if label.expected != GIL:
        is_right = names_function or label.expected == SAFE
        is_blamed = verdict in BLAMED and is_right

    load = evidence.get("load")
    race = evidence.get("race")
    exercise = evidence.get("exercise")
    tests = (exercise.facts.get("own_tests") if exercise else None) or {}
    load_s = load.seconds if load else 0.0
    race_s = race.seconds if race else 0.0
    exercise_s = exercise.seconds if exercise else 0.0

    return Package(
        label=label,
        verdict=verdict,
        level=(part.get("thread_safety") or {}).get("level", ""),
        names_function=names_function,
        found={
            "import": turns_gil_on,
            "own tests": bool(tests.get("crash") or tests.get("findings")),
            "stress": _shows_harm(exercise),
            "stress with sanitizer": _shows_race(race),
            "all": is_blamed,
        },
        seconds={
            "import": load_s,
            "own tests": tests.get("seconds") or 0.0,
            "stress": exercise_s,
            "stress with sanitizer": race_s,
            "all": exercise_s + race_s,
        },
    )


def _shows_harm(exercise: Evidence | None) -> bool:
    """Return whether threads showed harm with the plain wheel, without being led there by the race detector."""
    if exercise is None:
        return False

    harms: list[dict[str, Any]] = exercise.facts.get("harms", [])
    return any(harm.get("shown") and not harm["steered"] for harm in harms)


def _shows_race(race: Evidence | None) -> bool:
    """Return whether the sanitizer's build showed a race, or harm."""
    if race is None:
        return False

    harms: list[dict[str, Any]] = race.facts.get("harms", [])
    return bool(race.facts.get("races")) or any(harm.get("shown") for harm in harms)


def names_one_of(functions: tuple[str, ...], findings: list[dict[str, Any]]) -> bool:
    """Return whether a finding on threads names one of a label's functions; true where the label has none."""
    texts: list[str] = []
    for finding in findings:
        if finding["code"].startswith("WF6"):
            texts.append(f"{finding['where']} {finding['detail']}")

    return contains_function(functions, " ".join(texts))


def contains_function(functions: tuple[str, ...], text: str) -> bool:
    """Return whether a text names one of some functions; true where there is none to be named.

    Native and Python names are one: `memo_get` is `Memo.get`.
    """
    if not functions:
        return True

    for function in functions:
        name = re.escape(function.lower()).replace("_", "[._]")
        is_named = re.search(rf"(?<![a-z0-9]){name}(?![a-z0-9_])", text.lower())
        if is_named:
            return True

    return False
