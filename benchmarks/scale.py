"""How the farm grows: planning, a run with nothing to do, the index, and the order of jobs, all without containers."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import synthetic
from builder import index
from builder.config import catalog, matrix
from builder.config.effort import EFFORTS
from builder.config.matrix import Package
from builder.farm import unchanged
from builder.index import Entry
from builder.jobs.job import list_needs
from builder.plan import graph as plan
from builder.plan import schedule
from builder.plan.resources import Resources
from builder.sources import Source
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store

SIZES = (100, 1_000, 10_000)
SLOTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TIMES = 3
SIMULATED = 1_000
"""Packages in the simulation of the order of jobs."""
WHEELS = [
    f"cp314-{abi}-{tag}_x86_64"
    for abi in ("cp314", "cp314t")
    for tag in ("manylinux_2_17", "manylinux_2_34")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One command: wall time in seconds, the median of `TIMES`, and the most memory in MB."""

    seconds: float
    mb: float


def measure(
    folder: Path, say: Callable[[str], None], *, sizes: tuple[int, ...] = SIZES
) -> dict[str, float]:
    """Measure everything and return the figures by name.

    Args:
        folder: scratch space; what it holds is used again.
        say: told each figure.
        sizes: numbers of packages.
    """
    figures: dict[str, float] = {}
    synthetic.seed(folder / "seed")
    for count in sizes:
        place = (
            folder / f"matrix-{count}-{unchanged.farm_digest()[:8]}"
        )  # another farm has other keys
        if not (place / "wheelhouse/verdicts.json").exists():
            _prepare(count, folder / "seed", place)
        for name, command in (
            ("noop", ["run"]),
            ("plan", ["plan", "--json"]),
            ("plan_changed", _changed(place)),
        ):
            measured = timed(command, place)
            figures |= {f"{name}_{count}_s": measured.seconds, f"{name}_{count}_mb": measured.mb}
            say(f"{count:>6} packages  {name:13} {measured.seconds:7.2f} s  {measured.mb:6.0f} MB")
    figures |= indexed(folder / "index", max(sizes))
    say(
        f"{max(sizes):>6} packages  index {figures['index_generate_s']:.1f} s, "
        f"one wheel {figures['index_update_s']:.3f} s"
    )
    ratios = makespans(folder / "seed")
    for slots, ratio in ratios.items():
        say(f"{slots:>6} slots     makespan {ratio:.3f} x the lower bound")
    return {**figures, "makespan_ratio_max": round(max(ratios.values()), 4)}


def _prepare(count: int, seeded: Path, place: Path) -> None:
    """Write the matrix and publish it once, in processes of their own: what they use is nobody's to measure."""
    shutil.rmtree(place, ignore_errors=True)
    program = "import sys, pathlib; from benchmarks import synthetic; "
    program += "synthetic.write(int(sys.argv[1]), *map(pathlib.Path, sys.argv[2:]))"
    subprocess.run([sys.executable, "-c", program, str(count), str(seeded), str(place)], check=True)
    with Path(os.devnull).open("w") as nowhere:
        subprocess.run(
            [sys.executable, "-m", "builder", "run"], cwd=place, check=True, stdout=nowhere
        )


def _changed(place: Path) -> list[str]:
    """Return the command that plans a matrix in which the flags of one package were changed."""
    text = (place / "matrix.toml").read_text()
    first = f"[packages.{synthetic.name_of(0)}]\n"
    (place / "changed.toml").write_text(text.replace(first, first + "env = { A = 1 }\n"))
    return ["plan", "--json", "--matrix", "changed.toml"]


def timed(command: list[str], place: Path) -> Measured:
    """Run a command of the farm several times, with no engine to turn to."""
    environment = {**os.environ, "DOCKER_HOST": f"unix://{place}/none.sock"}
    seconds, peaks = [], []
    for _ in range(TIMES):
        began = time.perf_counter()
        with Path(os.devnull).open("w") as nowhere:
            process = subprocess.Popen(
                [sys.executable, "-m", "builder", *command],
                cwd=place,
                env=environment,
                stdout=nowhere,
            )
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} in {place}: exit code {process.returncode}")
        seconds.append(time.perf_counter() - began)
        peaks.append(used.ru_maxrss / 1024)
    return Measured(seconds=round(statistics.median(seconds), 3), mb=round(max(peaks), 1))


def indexed(folder: Path, count: int) -> dict[str, float]:
    """Publish `count` packages of four wheels each, then one more wheel, a few times over."""
    shutil.rmtree(folder, ignore_errors=True)
    store = Store(folder)
    content = index.make_manifest(
        make_entry(number, tag, store) for number in range(count) for tag in WHEELS
    )
    began = time.perf_counter()
    index.publish(content, store)
    whole = time.perf_counter() - began
    updates = []
    for number in range(TIMES):
        project = synthetic.name_of(number)
        content = {
            **content,
            project: (
                *content[project],
                make_entry(number, "cp314-cp314-manylinux_2_36_x86_64", store),
            ),
        }
        began = time.perf_counter()
        index.publish(content, store)
        updates.append(time.perf_counter() - began)
    store.close()
    return {
        "index_generate_s": round(whole, 2),
        "index_update_s": round(statistics.median(updates), 4),
    }


def make_entry(number: int, tag: str, store: Store) -> Entry:
    """Return the index's entry of a wheel of a synthetic project, and keep the wheel in the store."""
    name = synthetic.name_of(number).replace("-", "_")
    filename = f"{name}-1.0-{tag}.whl"
    wheel = synthetic.make_wheel(filename, tag)
    sha256 = hashlib.sha256(wheel).hexdigest()
    path = store.file(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(wheel)
    return Entry(
        filename=filename,
        sha256=sha256,
        size_bytes=len(wheel),
        uploaded_at="2026-11-21T02:00:00Z",
    )


def makespans(seeded: Path, seed: int = 8314) -> dict[int, float]:
    """Play a matrix whose durations are recorded ones, spread as builds are, and compare with the lower bound.

    Args:
        seeded: a wheelhouse with durations.
        seed: of the spread.
    """
    names = [synthetic.name_of(number) for number in range(SIMULATED)]
    loaded = matrix.parse({"packages": {name: {} for name in names}}, Path("matrix.toml"))
    found = dict(_sources(names))
    graph = plan.make_plan(loaded, found, {}, catalog.load(), Package(), EFFORTS[synthetic.EFFORT])
    needs = {job.id: list_needs(job) for job in graph.jobs.values() if job.id.kind != JobKind.IMAGE}
    took = _durations(needs, seeded, random.Random(seed))
    taken = {job: Resources(cpus=1, memory_bytes=0) for job in needs}
    played = {
        slots: schedule.simulate(needs, took, taken, Resources(cpus=slots, memory_bytes=1)) for slots in SLOTS
    }  # fmt: skip
    return {slots: one.makespan_s / one.lower_bound_s for slots, one in played.items()}


def _sources(names: list[str]) -> Iterator[tuple[str, Source]]:
    for place, name in enumerate(names):
        one = Source(
            name=name, version="1.0", kind="index", filename=f"{name}-1.0.tar.gz", sha256=name
        )
        built_with = (names[place - 1],) if place % 10 == 9 else ()
        yield name, replace(one, needs=built_with, builds_with=built_with)


def _durations(
    needs: Mapping[JobId, object], seeded: Path, random_: random.Random
) -> dict[JobId, float]:
    """Return what each job takes: what its kind took in the seed; a build, times a factor from a long-tailed spread."""
    store = Store(seeded / "wheelhouse")
    recorded = {job.kind: seconds for job, seconds in store.recorded_durations().items()}
    store.close()
    factors: dict[str, float] = {}
    took = {}
    for job in needs:
        factor = factors.setdefault(job.name, random_.lognormvariate(0, 1))
        took[job] = recorded[job.kind] * (factor if job.kind == JobKind.BUILD else 1.0)
    return took
