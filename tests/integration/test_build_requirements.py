"""A package that is built with another of the matrix waits for the farm's own wheels; what compilers keep, and for how long."""

from __future__ import annotations

import json
import subprocess

from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.hammer]
sdist = "hammer-1.0.tar.gz"
[packages.steady]
sdist = "steady-1.0.tar.gz"
"""


def test_a_build_gets_the_farms_own_wheel(images: Workshop, workshop: Workshop):
    assert images
    workshop.write(MATRIX, "hammer", "steady")
    done = workshop.run()
    assert done.returncode == 0, done.stdout + done.stderr
    order = [line.split()[-1] for line in done.stdout.splitlines() if "  start  build:" in line]
    assert order == ["build:steady@debian-12", "build:hammer@debian-12"]
    # Its setup.py calls what no other release of this name has.
    hammer = workshop.verdicts()["hammer"]
    for abi in ("cp314", "cp314t"):
        assert len(hammer["abis"][abi]["wheels"]) == 1
    first = _build_of("steady", workshop)
    assert first.facts["compiler_cache"] == {
        "hits": 0,
        "misses": 2,
    }  # one file, twice: no ABI gets the other's
    # Built again from the same inputs, it is the same byte for byte, though nothing was compiled.
    again = workshop.run("--again", "--only", "steady")
    assert again.returncode == 0, again.stdout + again.stderr
    build = _build_of("steady", workshop)
    assert build.facts["compiler_cache"] == {"hits": 2, "misses": 0}
    assert len(build.facts["rebuilt"]) == 2
    assert not any(build.facts["rebuilt"].values())


def test_garbage_in_the_engine(workshop: Workshop, images: Workshop):
    assert images

    def collected(*options: str) -> dict[str, int]:
        done = subprocess.run(
            workshop.command(*options, "--json", name="gc"),
            capture_output=True,
            text=True,
            check=True,
        )
        removed: dict[str, int] = json.loads(done.stdout)["engine"]
        return removed

    workshop.write(MATRIX, "hammer", "steady")
    assert workshop.run("--only", "steady", "--effort", "none").returncode == 0
    assert "compiler caches" not in collected("--max-size", "20g")
    assert collected("--max-size", "1k")["compiler caches"] == 1  # there is no room for it
    workshop.run("--only", "steady", "--effort", "none", "--again")
    (workshop.root / "steady-1.0.tar.gz").unlink()
    workshop.write(MATRIX.partition("[packages.steady]")[0], "hammer")
    assert collected()["compiler caches"] == 1  # nobody asks for it


def _build_of(name: str, workshop: Workshop) -> Evidence:
    store = Store(workshop.wheelhouse)
    (build,) = [
        one
        for one in store.newest_evidence_of(name)
        if one.job == JobId(JobKind.BUILD, name, "debian-12")
    ]
    store.close()
    return build
