"""The same wheels by a loop over cibuildwheel, by fromager and by the farm, in the same image, interleaved.

a) cibuildwheel with its defaults, once for each sdist;
b) fromager, once for each ABI: it makes one a run. What is needed to build is taken as wheels (`pre_built`), as the
   others do: by its defaults it would compile that too. `bootstrap-parallel`, the faster of its two ways;
c) the farm with images and nothing else: it builds, audits and imports; d) again; e) with one other sdist; f) with
   another environment for all of them, so that all is built again, compilers having their cache.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.config import catalog
from builder.engine import connection
from builder.engine.client import Engine
from builder.host import settings as host
from builder.jobs.images.ids import role_image_id
from builder.sources.client import Index
from builder.store.hashing import digest
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store

BASE = "debian-12"
PACKAGES = {
    "markupsafe": "3.0.4", "lru-dict": "1.4.1", "wrapt": "2.5.2", "xxhash": "4.1.0",
    "regex": "2026.11.15", "kiwisolver": "1.5.1", "ujson": "6.1.0", "msgpack": "1.2.4",
}  # fmt: skip
CHANGED = "wrapt"
"""Whose sdist gets another file in (e)."""
SMALLEST = "markupsafe"
"""What the farm builds before anything is measured, to have its images."""
ROUNDS = 3
WHEELS_OF_BUILD_TOOLS = (
    "calver", "cython", "editables", "expandvars", "flit-core", "hatch-vcs", "hatchling", "packaging", "pathspec",
    "pluggy", "setuptools", "setuptools-scm", "trove-classifiers", "vcs-versioning", "wheel",
)  # fmt: skip
_HERE = Path(__file__).parent
_FROMAGER = _HERE / "fromager.txt"
_DOCKERFILE = """\
ARG BUILDER
FROM ${BUILDER}
COPY fromager.txt /opt/
ARG HOST_ENVIRONMENT
RUN for python in /opt/python/*/bin/python; do \\
      folder=/opt/fromager/$(basename "$(dirname "$(dirname "$python")")"); \\
      [ -e "$(dirname "$python")/pip" ] || continue; \\
      "$python" -m venv "$folder" || exit 1; \\
      eval env "${HOST_ENVIRONMENT}" "$folder/bin/pip" install -q --require-hashes -r /opt/fromager.txt || exit 1; \\
    done
"""


@dataclass(kw_only=True)
class Timed:
    """Seconds that each way took, one figure a round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, work: Callable[[], None], say: Callable[[str], None]) -> None:
        """Do it and note how long it took."""
        began = time.perf_counter()
        work()
        took = time.perf_counter() - began
        self.seconds.setdefault(name, []).append(round(took, 2))
        say(f"{name:32} {took:7.1f} s")

    def ratio(self, name: str, of: str) -> tuple[float, float, float]:
        """Return the least, the median and the largest ratio of two ways in the same round."""
        ratios = [
            one / other for one, other in zip(self.seconds[name], self.seconds[of], strict=True)
        ]
        return min(ratios), statistics.median(ratios), max(ratios)


RATIOS = {
    "cold_vs_cibuildwheel": ("c wheelfarm, cold", "a cibuildwheel"),
    "cold_vs_fromager": ("c wheelfarm, cold", "b fromager"),
    "noop_vs_cibuildwheel": ("d wheelfarm, nothing changed", "a cibuildwheel"),
    "one_changed_vs_cibuildwheel": ("e wheelfarm, one changed", "a cibuildwheel"),
    "rebuild_vs_cold": ("f wheelfarm, all again", "c wheelfarm, cold"),
}


def measure(folder: Path, say: Callable[[str], None], *, rounds: int = ROUNDS) -> dict[str, object]:
    """Measure everything and return ratios and seconds.

    Args:
        folder: scratch space; sdists and the first wheelhouse are used again.
        say: told each figure.
        rounds: how often everything is done.
    """
    folder = folder.resolve()
    sdists = _sdists(folder / "sdists")
    ready = _ready(folder / "ready", sdists[SMALLEST], say)
    docker = connection.connect()
    image = _builder(ready)
    fromager = _fromager_image(docker, image, say)
    timed = Timed()
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        place = folder / "round"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        timed.take(
            "a cibuildwheel",
            lambda: _cibuildwheel(sdists.values(), image, place / "a"),  # noqa: B023
            say,
        )
        timed.take("b fromager", lambda: _fromager(fromager, place / "b"), say)  # noqa: B023
        farm = Farm(place / "c", ready, sdists)
        timed.take("c wheelfarm, cold", farm.run, say)
        timed.take("d wheelfarm, nothing changed", farm.run, say)
        farm.change_one()
        timed.take("e wheelfarm, one changed", farm.run, say)
        farm.change_all()
        timed.take("f wheelfarm, all again", farm.run, say)
        say(f"compiler cache in (f): {farm.compiled()}")
        farm.end()
    ratios = {name: timed.ratio(*pair) for name, pair in RATIOS.items()}
    for name, (least, median, most) in ratios.items():
        say(f"{name:32} min {least:.4f}  median {median:.4f}  max {most:.4f}")
    return {
        "ratios": {name: round(ratio[1], 4) for name, ratio in ratios.items()},
        "seconds": timed.seconds,
    }


class Farm:
    """A wheelhouse that has images and nothing else."""

    def __init__(self, folder: Path, ready: Path, sdists: Mapping[str, Path]) -> None:
        folder.mkdir()
        self._folder = folder
        self._environment = ""
        self._sdists = {name: shutil.copy(path, folder) for name, path in sdists.items()}
        shutil.copytree(ready / "wheelhouse", folder / "wheelhouse")
        store = Store(folder / "wheelhouse")
        keys = [
            key for key, job, *_ in store.retention.evidence_rows() if job.kind != JobKind.IMAGE
        ]
        store.retention.delete_old(keys, [], 0.0)
        self._farm_id = store.farm_id
        shutil.rmtree(store.folder / "index", ignore_errors=True)
        store.close()
        self.end()

    def run(self) -> None:
        """Bring everything up to date."""
        tables = (
            f'[packages.{name}]\nsdist = "{Path(path).name}"\n{self._environment}'
            for name, path in self._sdists.items()
        )
        (self._folder / "matrix.toml").write_text(f'[farm]\nbases = ["{BASE}"]\n' + "".join(tables))
        _run(
            [sys.executable, "-m", "builder", "run", "--effort", "none"],
            self._folder,
            allowed={0, 1},
        )
        made = len(list((self._folder / "wheelhouse/simple").rglob("*.whl")))
        quarantined = len(list((self._folder / "wheelhouse/quarantine/simple").rglob("*.whl")))
        if made + quarantined != 2 * len(self._sdists):
            raise RuntimeError(
                f"{made} and {quarantined} wheels in {self._folder}, not {2 * len(self._sdists)}"
            )

    def change_one(self) -> None:
        """Give one sdist another file."""
        path = Path(self._sdists[CHANGED])
        whole = path.with_suffix(".whole")
        path.rename(whole)
        with tarfile.open(whole) as old, tarfile.open(path, "w:gz") as new:
            for member in old:
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
            root = old.getnames()[0].partition("/")[0]
            new.addfile(tarfile.TarInfo(f"{root}/CHANGED"))
        whole.unlink()

    def change_all(self) -> None:
        """Give every build another environment."""
        self._environment = 'env = { WHEELFARM_BENCHMARK = "1" }\n'

    def compiled(self) -> Mapping[str, int]:
        """Return how often compilers had what they were asked for in the newest builds, and how often not."""
        store = Store(self._folder / "wheelhouse")
        uses = [
            one.facts["compiler_cache"]
            for name in self._sdists
            for one in store.newest_evidence_of(name)
            if one.job == JobId(JobKind.BUILD, name, BASE)
        ]
        store.close()
        return {what: sum(use.get(what, 0) for use in uses) for what in ("hits", "misses")}

    def end(self) -> None:
        """Remove what its compilers kept."""
        connection.connect(self._farm_id).remove_compiler_caches(())


def _run(
    command: list[str], place: Path, *, allowed: Iterable[int] = (0,), **environment: str
) -> None:
    log = place / "log.txt"
    with log.open("ab") as file:
        done = subprocess.run(
            command,
            cwd=place,
            check=False,
            stdout=file,
            stderr=file,
            env={**os.environ, **environment},
        )
    if done.returncode not in allowed:
        lines = log.read_text(errors="replace").splitlines()[-15:]
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n" + "\n".join(lines))


def _sdists(folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "store")
    packages = Index(host.index_settings(), store)
    found = {}
    for name, version in PACKAGES.items():
        found[name] = folder / f"{name}-{version}.tar.gz"
        if not found[name].exists():
            release = next(
                one for one in packages.releases(name) or () if str(one.version) == version
            )
            if release.sdist is None:
                raise RuntimeError(f"{name} {version} has no sdist")
            shutil.copy(store.file(packages.download(release.sdist)), found[name])
    store.close()
    return found


def _ready(folder: Path, sdist: Path, say: Callable[[str], None]) -> Path:
    """Make the images by building the smallest package."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(sdist, folder)
    (folder / "matrix.toml").write_text(
        f'[farm]\nbases = ["{BASE}"]\n[packages.{SMALLEST}]\nsdist = "{sdist.name}"\n'
    )
    say("making the images")
    _run([sys.executable, "-m", "builder", "run", "--effort", "none"], folder, allowed={0, 1})
    return folder


def _builder(ready: Path) -> str:
    store = Store(ready / "wheelhouse")
    builder = role_image_id("builder", BASE)
    made = [store.get(key) for key, job, *_ in store.retention.evidence_rows() if job == builder]
    store.close()
    if not made or made[-1] is None:
        raise RuntimeError(f"{ready} has no builder image")
    return str(made[-1].facts["tag"])


def _cibuildwheel(sdists: Iterable[Path], image: str, target: Path) -> None:
    target.mkdir()
    arguments = " ".join(
        f"--env={name}={value}" for name, value in host.container_environment().items()
    )
    for sdist in sdists:
        _run(
            [sys.executable, "-m", "cibuildwheel", str(sdist), "--platform", "linux", "--archs", "x86_64",
             "--output-dir", str(target)],
            target,
            CIBW_BUILD="cp314-manylinux_x86_64 cp314t-manylinux_x86_64",
            CIBW_MANYLINUX_X86_64_IMAGE=image,
            CIBW_TEST_SKIP="*",
            CIBW_CONTAINER_ENGINE=f"docker; create_args: {arguments}; disable_host_mount: true",
        )  # fmt: skip
    if len(list(target.glob("*.whl"))) != 2 * len(PACKAGES):
        raise RuntimeError(f"cibuildwheel made {len(list(target.glob('*.whl')))} wheels")


def _fromager_image(docker: Engine, builder: str, say: Callable[[str], None]) -> str:
    tag = f"wheelfarm/benchmark-fromager:{digest(builder, _DOCKERFILE, _FROMAGER.read_text())[:16]}"
    if docker.images.read_labels(tag) is None:
        say("installing fromager")
        lines: list[str] = []
        failure = docker.images.build(
            tag,
            context={"Dockerfile": _DOCKERFILE.encode(), "fromager.txt": _FROMAGER},
            arguments={"BUILDER": builder, "HOST_ENVIRONMENT": host.container_assignments()},
            labels={},
            log=lines.append,
            stop=threading.Event(),
        )
        if failure:
            raise RuntimeError(f"fromager was not installed: {failure}\n{''.join(lines[-20:])}")
    return tag


def _fromager(image: str, target: Path) -> None:
    target.mkdir()
    settings = target / "settings"
    settings.mkdir()
    for name in WHEELS_OF_BUILD_TOOLS:
        (settings / f"{name.replace('-', '_')}.yaml").write_text(
            "variants:\n  cpu:\n    pre_built: true\n"
        )
    (target / "wanted.txt").write_text(
        "".join(f"{name}=={version}\n" for name, version in PACKAGES.items())
    )
    for abi in catalog.load().abis.values():
        options = [f"--env={name}={value}" for name, value in host.container_environment().items()]
        program = (
            f"mkdir /work && cd /work && export PATH=/opt/fromager/{abi.directory}/bin:$PATH && "
            "fromager --settings-dir /given/settings bootstrap-parallel -r /given/wanted.txt && "
            "ls wheels-repo/downloads/*.whl"
        )
        given = [f"--volume={target.resolve()}:/given:ro"]
        _run(
            ["docker", "run", "--rm", "--init", *options, *given, image, "sh", "-c", program],
            target,
        )
    made = (target / "log.txt").read_text().splitlines()
    names = {
        line.rpartition("/")[2]
        for line in made
        if line.startswith("wheels-repo/") and "_x86_64.whl" in line
    }
    if len(names) < 2 * len(PACKAGES):
        raise RuntimeError(f"fromager made {len(names)} wheels: {json.dumps(sorted(names))}")
