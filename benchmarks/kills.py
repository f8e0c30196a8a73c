"""Kill the farm, a container of it, or the engine, at random moments: does the next run end as if nothing had happened?

Usage: python -m benchmarks.kills FOLDER OUTPUT.json [--kills 100] [--seed N] [--engine]

A run that nobody disturbs is the reference. Each trial begins with a copy of its wheelhouse from which the evidence of
random jobs, and at times the index, were taken away; kills the farm with SIGKILL, or one of its containers, at a random
moment; looks whether the index is whole just then; runs the farm to its end; and compares verdicts, and the index byte
for byte. No job that was finished before the kill may run again. With `--engine`, and as root on a machine that has no
other use for its engine, dockerd itself is killed at times, and started again by `wheelfarm engine`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console

from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.corpus import make_sdist

PACKAGES = ("steady", "chained", "latchkey")
MATRIX = '[farm]\nbases = ["debian-12"]\n' + "".join(
    f'[packages.{name}]\nsdist = "{name}-1.0.tar.gz"\n' for name in PACKAGES
)
LOST = {"build": 0.08, "audit": 0.35, "load": 0.35, "remedy": 0.35}
"""How likely the evidence of a job of a kind is taken away."""
CHANNELS = ("simple", "quarantine/simple")
STARTUP_S = 1.5
CONTAINERS = 0.2
"""How often a container is killed, and not the farm."""
ENGINES = 0.1
"""How often the engine is, where that may be."""
ENGINE_PID = Path("/var/run/docker.pid")


@dataclass(kw_only=True)
class Trial:
    """One kill.

    Attributes:
        target: `farm`, `container` or `engine`, or `nothing` where the run was over already.
        at_s: when, in seconds from the start.
        lost: jobs whose evidence was taken away.
        finished: jobs that the killed run finished.
        in_flight: jobs that it had started.
        again: jobs that the next run started.
        wrong: what is not as it was in the reference.
    """

    target: str
    at_s: float
    lost: list[str]
    finished: list[str]
    in_flight: list[str]
    again: list[str]
    wrong: list[str]


def main() -> None:
    """Try, print and write."""
    parser = argparse.ArgumentParser(prog="benchmarks.kills")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--engine", action="store_true", help="kill the engine as well")
    asked = parser.parse_args()
    console = Console(emoji=False, highlight=False)
    console.print(f"seed {asked.seed}")
    chance = random.Random(asked.seed)
    reference = asked.folder / "reference"
    if not (reference / "wheelhouse/verdicts.json").exists():
        _write(reference)
        if _run(reference).returncode:
            raise SystemExit(f"the reference did not run: see {reference}/output.txt")
    expected = _results(reference / "wheelhouse")
    trials: list[Trial] = []
    while sum(trial.target != "nothing" for trial in trials) < asked.kills:
        often = (ENGINES * asked.engine, CONTAINERS, 1 - CONTAINERS)
        target = chance.choices(("engine", "container", "farm"), often)[0]
        trials.append(_try(reference, asked.folder / "trial", expected, target, chance))
        one = trials[-1]
        counts = (
            f"{len(one.lost)} lost, {len(one.finished)} finished, {len(one.in_flight)} in flight"
        )
        console.print(
            f"{len(trials):>4}  {one.target:9} at {one.at_s:5.1f} s: {counts}, {len(one.again)} run again"
        )
        for text in one.wrong:
            console.print(f"      WRONG: {text}")
        _record(asked.output, asked.seed, trials)
    summary = _record(asked.output, asked.seed, trials)
    console.print(json.dumps(summary))
    raise SystemExit(1 if summary["wrong"] else 0)


def _record(output: Path, seed: int, trials: list[Trial]) -> dict[str, Any]:
    killed = [trial for trial in trials if trial.target != "nothing"]
    summary = {
        "seed": seed,
        "kills": len(killed),
        "of_the_farm": sum(trial.target == "farm" for trial in killed),
        "of_a_container": sum(trial.target == "container" for trial in killed),
        "of_the_engine": sum(trial.target == "engine" for trial in killed),
        "with_jobs_in_flight": sum(bool(trial.in_flight) for trial in killed),
        "finished_before": sum(len(trial.finished) for trial in killed),
        "in_flight": sum(len(trial.in_flight) for trial in killed),
        "redone": sum(len({*trial.again} & {*trial.finished}) for trial in killed),
        "wrong": sum(bool(trial.wrong) for trial in killed),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(
        json.dumps({**summary, "trials": [asdict(trial) for trial in trials]}, indent=1) + "\n"
    )
    return summary


def _write(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "matrix.toml").write_text(MATRIX)
    for name in PACKAGES:
        make_sdist(name, place)


def _command() -> list[str]:
    return [sys.executable, "-m", "builder", "run", "--effort", "none"]


def _run(place: Path) -> subprocess.CompletedProcess[bytes]:
    with (place / "output.txt").open("wb") as output:
        return subprocess.run(_command(), cwd=place, stdout=output, stderr=output, check=False)


def _try(
    reference: Path, place: Path, expected: dict[str, Any], target: str, chance: random.Random
) -> Trial:
    shutil.rmtree(place, ignore_errors=True)
    subprocess.run(
        ["cp", "-a", str(reference), str(place)], check=True
    )  # hard links stay hard links
    lost, length_s = _lose(place / "wheelhouse", chance)
    at_s = chance.uniform(0.2, STARTUP_S + length_s)
    with (place / "output.txt").open("wb") as output:
        process = subprocess.Popen(_command(), cwd=place, stdout=output, stderr=output)
        killed = _kill(process, target, at_s, place / "wheelhouse")
        wrong = [f"just then: {text}" for text in _damage(place / "wheelhouse")]
        process.wait()
    if killed == "engine":
        subprocess.run([sys.executable, "-m", "builder", "engine"], check=True, capture_output=True)
    started, ended = _jobs(place / "output.txt")
    code = _run(place).returncode
    again, _ = _jobs(place / "output.txt")
    wrong += [f"exit code {code}"] if code != expected["code"] else []
    found = _results(place / "wheelhouse")
    wrong += ["verdicts"] if found["verdicts"] != expected["verdicts"] else []
    wrong += [
        f"index: {path}" for path, _ in sorted(found["index"].items() ^ expected["index"].items())
    ]
    wrong += [f"ran twice: {job}" for job in again if job in ended]
    wrong += [f"just after: {text}" for text in _damage(place / "wheelhouse")]
    return Trial(
        target=killed, at_s=round(at_s, 2), lost=[str(job) for job in lost], finished=ended, again=again, wrong=wrong,
        in_flight=[job for job in started if job not in ended],
    )  # fmt: skip


def _lose(wheelhouse: Path, chance: random.Random) -> tuple[list[JobId], float]:
    """Take evidence away, and at times what was published; return the jobs, and how long that takes, in seconds."""
    store = Store(wheelhouse)
    took = store.recorded_durations()
    lost = [job for job in sorted(took) if chance.random() < LOST.get(job.kind, 0.0)]
    for job in lost:
        store.database.execute("DELETE FROM evidence WHERE job = ?", (str(job),))
    store.delete_note("seal")
    store.close()
    if chance.random() < 0.5:
        for path in (wheelhouse / "verdicts.json", wheelhouse / "simple/.published"):
            path.unlink()
        shutil.rmtree(wheelhouse / "simple" / chance.choice(PACKAGES))
        for name in ("index.html", "index.json"):
            (wheelhouse / "simple" / name).unlink()
    return lost, sum(took[job] for job in lost) / 2  # two run at a time


def _kill(process: subprocess.Popen[bytes], target: str, at_s: float, wheelhouse: Path) -> str:
    """Kill when the time has come; return what was killed."""
    try:
        process.wait(at_s)
    except subprocess.TimeoutExpired:
        pass
    else:
        return "nothing"
    if target == "farm":
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return target
    if target == "engine":
        os.kill(int(ENGINE_PID.read_text()), signal.SIGKILL)
        return target
    label = f"label=wheelfarm.farm={(wheelhouse / 'store/farm-id').read_text()}"
    while process.poll() is None:
        listed = subprocess.run(
            ["docker", "ps", "-q", "--filter", label], capture_output=True, text=True, check=True
        )
        for name in listed.stdout.split()[:1]:
            done = subprocess.run(["docker", "kill", name], capture_output=True, check=False)
            if done.returncode == 0:
                return target
        time.sleep(0.05)
    return "nothing"


def _jobs(output: Path) -> tuple[list[str], list[str]]:
    """Return the jobs that a run started, and those that it finished."""
    text = output.read_text(errors="replace")
    started = re.findall(r"  start  (\S+)$", text, re.MULTILINE)
    ended = re.findall(r"  (?:ok|failed) +(\S+)  .*\[\d+/\d+\]$", text, re.MULTILINE)
    return started, ended


def _results(wheelhouse: Path) -> dict[str, Any]:
    document = json.loads((wheelhouse / "verdicts.json").read_text())
    files = {
        str(path.relative_to(wheelhouse)): hashlib.sha256(path.read_bytes()).hexdigest()
        for channel in CHANNELS
        for path in sorted((wheelhouse / channel).rglob("*"))
        if path.is_file()
    }
    return {"verdicts": document["packages"], "index": files, "code": 0}


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs)["href"] or "")


def _damage(wheelhouse: Path) -> list[str]:
    """Return every promise of the index's pages that is not kept."""
    found = []
    for page in (wheelhouse / "simple").rglob("index.html"):
        links = _Links()
        links.feed(page.read_text())
        for link in links.found:
            name, _, sha256 = link.partition("#sha256=")
            target = page.parent / name
            if not target.exists():
                found.append(f"{page.relative_to(wheelhouse)} names {name}, which is not there")
            elif sha256 and hashlib.sha256(target.read_bytes()).hexdigest() != sha256:
                found.append(f"{target.relative_to(wheelhouse)} is not what its page promises")
    return found


if __name__ == "__main__":
    main()
