"""Replays what was found in a release with a fault, on it and on the release without."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.detection.labels import SAFE, Label, split_into_batches
from benchmarks.detection.runs import BLAMED

if TYPE_CHECKING:
    from pathlib import Path

_SHOWN = re.compile(r"shown again (\d+) of (\d+) times")
_ENOUGH = 8
"""How often a program has to have run for its share to say something."""

_TIMES = 10
_CRASH = "WF601"
_CODES = (_CRASH, "WF604", "WF605")


def compare_releases(labels: list[Label], folder: Path) -> list[dict[str, Any]]:
    """Replay the best program of each release with a fault ten times on it, and ten times on the one without.

    Args:
        labels: of releases.
        folder: of the run; each batch of the labels has a folder in it, by its number.

    Returns:
        For each replay `package`, `version`, `found_in`, `replay` (the finding's id; None where there is no program),
        `shown`, `runs` and `what`.
    """
    rows: list[dict[str, Any]] = []
    places: dict[Label, Path] = {}
    for number, batch in enumerate(split_into_batches(labels)):
        places |= dict.fromkeys(batch, folder / str(number))

    for broken in labels:
        if broken.expected not in BLAMED:
            continue

        mended = []
        for label in labels:
            if label.package == broken.package and label.expected == SAFE:
                mended.append(label.version)

        place = places[broken]
        replay = find_best_replay(place / "wheelhouse", broken.package)
        for version in (broken.version, *mended):
            row: dict[str, Any] = {
                "package": broken.package,
                "version": version,
                "found_in": broken.version,
                "replay": replay,
            }
            if replay is not None:
                row |= run_replay(place, replay, version)
            print(f"{broken.package} {version}: {replay} {row.get('shown')} of {row.get('runs')}")
            rows.append(row)

    return rows


def find_best_replay(wheelhouse: Path, package: str) -> str | None:
    """Return the id of the finding whose program showed it most often, a crash before a race; None without any."""
    programs: list[dict[str, Any]] = []
    for path in sorted((wheelhouse / "replays").glob("*.json")):
        program = json.loads(path.read_text())
        if program["name"] == package and program["code"] in _CODES:
            programs.append(program)
    if not programs:
        return None

    def rank(program: dict[str, Any]) -> tuple[float, bool]:
        return _read_share(program["detail"]), program["code"] == _CRASH

    best = max(programs, key=rank)
    return str(best["id"])


def _read_share(detail: str) -> float:
    """Return how often of all times a finding was shown again; 0 where that was tried too seldom."""
    counts = _SHOWN.search(detail)
    if counts is None:
        return 0.0

    shown, ran = int(counts[1]), int(counts[2])
    return shown / ran if ran >= _ENOUGH else 0.0


def run_replay(place: Path, replay: str, version: str) -> dict[str, Any]:
    """Run a replay on a release with the sanitizer; return `shown`, `runs` and `what`."""
    command = [
        sys.executable, "-m", "builder", "replay", replay, "--matrix", str(place / "matrix.toml"),
        "--wheelhouse", str(place / "wheelhouse"), "--version", version, "--times", str(_TIMES), "--json",
        "--sanitizer",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    answer: dict[str, Any] = {}
    if done.stdout.strip():
        answer = json.loads(done.stdout)

    return {name: answer.get(name) for name in ("shown", "runs", "what")}
