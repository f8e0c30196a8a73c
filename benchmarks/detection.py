"""How much of what is known to be wrong each way of looking finds, and what it blames wrongly.

Usage: python -m benchmarks.detection FOLDER OUTPUT.json [--only corpus|releases] [--effort LEVEL] [--packages NAME…]

The farm is run on the packages of benchmarks/corpus.tsv and on the releases of benchmarks/releases.tsv. One run asks
all: importing alone, the package's own tests in threads, generated stress without a sanitizer, with one, and all
together, which is the verdict. Then what shows a release's fault best is replayed ten times with the sanitizer on it,
and ten times on the release of the same package that has none: a crash, if one was shown, or else a race.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from builder.store.store import Store
from tests.corpus import make_sdist

HERE = Path(__file__).parent
HEAD = '[farm]\nbases = ["debian-12"]\nbuild-on = ["debian-12"]\n'
SHOWN = re.compile(r"shown again (\d+) of (\d+) times")
ENOUGH = 8
"""How often a program has to have run for its share to say something."""
METHODS = ("import", "own tests", "stress", "stress with sanitizer", "all")
BLAMED = frozenset({"racy", "thread-unsafe"})

Counts = dict[str, defaultdict[str, float]]
"""By method: packages found, missed, false and clean, and seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", choices=("corpus", "releases"))
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--packages", nargs="*", default=[])
    options = parser.parse_args()
    names = [options.only] if options.only else ["corpus", "releases"]
    sets = {
        name: measure(name, options.folder / name, options.effort, options.packages)
        for name in names
    }
    written: dict[str, Any] = {"effort": options.effort, "sets": sets}
    if "releases" in names:
        written["pairs"] = pairs(options.folder / "releases", options.packages)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(written, indent=1) + "\n")


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / f"{name}.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def measure(name: str, folder: Path, effort: str, only: list[str]) -> dict[str, dict[str, float]]:
    """Run the farm on one set and count."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = [row for row in rows(name) if not only or row["package"] in only]
    counts: Counts = {method: defaultdict(float) for method in METHODS}
    for number, batch in enumerate(batches(labels)):
        place = folder / str(number)
        place.mkdir(exist_ok=True)
        (place / "matrix.toml").write_text(HEAD + "".join(table(name, row, place) for row in batch))
        command = [sys.executable, "-m", "builder", "run", "--matrix", str(place / "matrix.toml")]
        subprocess.run(
            [*command, "--wheelhouse", str(place / "wheelhouse"), "--effort", effort], check=False
        )
        judge(batch, place / "wheelhouse", counts)
    show(name, counts)
    keys = ("found", "missed", "false", "clean", "seconds")
    return {method: {key: round(found[key], 1) for key in keys} for method, found in counts.items()}


def batches(labels: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    """Part releases so that a matrix has each package once."""
    found: list[list[dict[str, str]]] = []
    for row in labels:
        batch = next(
            (
                batch
                for batch in found
                if all(row["package"] != other["package"] for other in batch)
            ),
            None,
        )
        found.append([row]) if batch is None else batch.append(row)
    return found


def table(name: str, row: dict[str, str], place: Path) -> str:
    if name == "releases":
        apt = json.dumps([package for package in row["apt"].split(",") if package])
        return f'[packages.{row["package"]}]\nversion = "=={row["version"]}"\napt = {apt}\n'
    return f'[packages.{row["package"]}]\nsdist = "{make_sdist(row["package"], place).name}"\n'


def judge(labels: list[dict[str, str]], wheelhouse: Path, counts: Counts) -> None:
    document = json.loads((wheelhouse / "verdicts.json").read_text())
    packages = {package["name"]: package for package in document["packages"]}
    store = Store(wheelhouse)
    for row in labels:
        name, expected = row["package"], row["expect_cp314t"]
        evidence = {one.job.kind: one for one in store.newest_evidence_of(name)}
        verdict = packages[name]["abis"]["cp314t"]["verdict"]
        said = answers(evidence, verdict, packages[name]["abis"]["cp314t"]["findings"], row)
        print(f"{name:14} {row.get('version', ''):8} expected {expected:14} verdict {verdict}")
        for method in METHODS:
            found, seconds = said[method]
            faulty = expected in {*BLAMED, "gil-required"}
            counts[method]["seconds"] += seconds
            counts[method][
                "found"
                if faulty and found
                else "missed"
                if faulty
                else "false"
                if found
                else "clean"
            ] += 1
    store.close()


def answers(
    evidence: dict[str, Any], verdict: str, findings: list[dict[str, Any]], row: dict[str, str]
) -> dict[str, tuple[bool, float]]:  # fmt: skip
    """Say what each method found, and how long it took."""
    wants_gil = row["expect_cp314t"] == "gil-required"
    race, exercise, load = (evidence.get(kind) for kind in ("race", "exercise", "load"))
    tests = (exercise.facts.get("own_tests") if exercise else None) or {}
    harms = [
        harm
        for harm in (exercise.facts.get("harms", []) if exercise else [])
        if not harm["steered"]
    ]
    raced = (
        [
            *race.facts.get("races", []),
            *(one for one in race.facts.get("harms", []) if one.get("shown")),
        ]
        if race
        else []
    )
    stress_s, race_s = (exercise.seconds if exercise else 0.0), (race.seconds if race else 0.0)
    gil = verdict == "gil-required"
    judged = verdict in BLAMED and (
        not row.get("function") or in_function(findings, row["function"])
    )
    return {
        "import": (gil, load.seconds if load else 0.0),
        "own tests": (bool(tests.get("crash") or tests.get("findings")), tests.get("seconds", 0.0)),
        "stress": (any(harm.get("shown") for harm in harms), stress_s),
        "stress with sanitizer": (bool(raced), race_s),
        "all": (gil if wants_gil else judged, stress_s + race_s),
    }


def in_function(findings: list[dict[str, Any]], functions: str) -> bool:
    """Return whether a finding names a function that the label names: `memo_get` is `Memo.get` in Python."""
    text = " ".join(
        f"{one['where']} {one['detail']}" for one in findings if one["code"].startswith("WF6")
    )
    text = text.lower().replace(".", "_")
    words = [name.strip().lower() for name in functions.split(",") if name.strip()]
    return any(re.search(rf"{re.escape(word)}(?![a-z0-9])", text) for word in words)


def pairs(folder: Path, only: list[str]) -> list[dict[str, Any]]:
    """Replay what was found in a release with a fault on it, and on the release without."""
    labels = [row for row in rows("releases") if not only or row["package"] in only]
    found = []
    for broken in (row for row in labels if row["expect_cp314t"] in BLAMED):
        place = folder / "0"  # the first of a package's rows is the one with the fault
        whole = [
            row
            for row in labels
            if row["package"] == broken["package"] and row["expect_cp314t"] == "compatible"
        ]
        race = best_replay(place / "wheelhouse", broken["package"])
        for version in (broken["version"], *(row["version"] for row in whole)):
            entry = {
                "package": broken["package"],
                "version": version,
                "found_in": broken["version"],
                "replay": race,
            }
            if race is not None:
                entry |= replayed(place, race, version)
            print(
                f"{broken['package']} {version}: {race} shown {entry.get('shown')} of {entry.get('runs')}"
            )
            found.append(entry)
    return found


def best_replay(wheelhouse: Path, name: str) -> str | None:
    """Return the id of the crash, or else of the race, whose program showed it most often."""
    store = Store(wheelhouse)
    evidence = {one.job.kind: one for one in store.newest_evidence_of(name)}
    store.close()
    races = evidence["race"].facts.get("races", []) if "race" in evidence else []
    shown = {" and ".join(one["places"]) for one in races if one.get("shown")}
    kept = [
        json.loads(path.read_text()) for path in sorted((wheelhouse / "replays").glob("*.json"))
    ]
    mine = [
        one
        for one in kept
        if one["name"] == name and (one["where"] in shown or one["code"] == "WF601")
    ]
    return (
        max(mine, key=lambda one: (_share(one["detail"]), one["code"] == "WF601"))["id"]
        if mine
        else None
    )


def _share(detail: str) -> float:
    """Return how often of all times a finding was shown again; 0 where that was tried too seldom."""
    again = SHOWN.search(detail)
    return int(again[1]) / int(again[2]) if again is not None and int(again[2]) >= ENOUGH else 0.0


def replayed(place: Path, race: str, version: str) -> dict[str, Any]:
    """Run a replay ten times on a release."""
    command = [
        sys.executable,
        "-m",
        "builder",
        "replay",
        race,
        "--matrix",
        str(place / "matrix.toml"),
    ]
    command += [
        "--wheelhouse",
        str(place / "wheelhouse"),
        "--version",
        version,
        "--times",
        "10",
        "--json",
        "--sanitizer",
    ]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    told: dict[str, Any] = json.loads(done.stdout) if done.stdout.strip() else {}
    return {name: told.get(name) for name in ("shown", "runs", "what")}


def interval(found: float, of: float) -> str:
    """Return Wilson's 95 % interval of a share."""
    if not of:
        return "-"
    z, share = 1.96, found / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return f"{share:.2f} [{max(0, middle - half):.2f}, {min(1, middle + half):.2f}]"


def show(name: str, counts: Counts) -> None:
    print(
        f"\n{name:24} found missed false clean   recall               false share          seconds"
    )
    for method, count in counts.items():
        recall = interval(count["found"], count["found"] + count["missed"])
        false = interval(count["false"], count["false"] + count["clean"])
        print(
            f"{method:24} {count['found']:5.0f} {count['missed']:6.0f} {count['false']:5.0f} {count['clean']:5.0f}   "
            f"{recall:20} {false:20} {count['seconds']:7.0f}"
        )


if __name__ == "__main__":
    main()
