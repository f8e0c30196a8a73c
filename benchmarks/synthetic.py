"""A wheelhouse in which any number of packages were built and judged: one real run, copied under other names.

Keys are those the farm itself computes, wheels are files of a few bytes with a hash of their own each.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.version import Version

from builder.config import catalog, matrix
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.host import settings as host
from builder.jobs.job import hash_key_parts as asked_with
from builder.plan import graph as plan
from builder.sources import Source
from builder.sources.recorded import resolution_key
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.corpus import make_sdist

SEED = "steady"
EFFORT = EffortLevel.QUICK


def seed(folder: Path) -> None:
    """Run the farm on one small package; images, and what is known already, are used."""
    folder.mkdir(parents=True, exist_ok=True)
    make_sdist(SEED, folder)
    (folder / "matrix.toml").write_text(f'[packages.{SEED}]\nsdist = "{SEED}-1.0.tar.gz"\n')
    subprocess.run(
        [sys.executable, "-m", "builder", "run", "--effort", EFFORT], cwd=folder, check=True
    )


def name_of(number: int) -> str:
    return f"package-{number:05}"


def write(count: int, seeded: Path, folder: Path) -> None:
    """Make a matrix and a wheelhouse of `count` packages in which everything is known and nothing is published yet.

    Every tenth package needs another one at run time.
    """
    folder.mkdir(parents=True)
    names = [name_of(number) for number in range(count)]
    (folder / "matrix.toml").write_text("".join(f"[packages.{name}]\n" for name in names))
    loaded = matrix.load(folder / "matrix.toml")
    store = Store(folder / "wheelhouse")
    found = {name: _source(place, name, names, store) for place, name in enumerate(names)}
    table = catalog.load()
    python = Version(table.releases[table.abis[loaded.abis[0]].release].version)
    asked = resolution_key(loaded, names, host.index_settings().urls, python)
    with store.database.transaction():
        store.record_resolution(
            asked, {"found": {name: one.record() for name, one in found.items()}, "faults": {}}
        )
        graph = plan.make_plan(loaded, found, {}, table, Package(), EFFORTS[EFFORT])
        _fill(graph, _templates(seeded), store)
    store.close()


def _source(place: int, name: str, names: list[str], store: Store) -> Source:
    needs = (names[place - 1],) if place % 10 == 9 else ()
    sha256 = _file(f"sdist of {name}".encode(), store)
    return Source(
        name=name,
        version="1.0",
        kind="index",
        filename=f"{name}-1.0.tar.gz",
        sha256=sha256,
        needs=needs,
    )


def _file(content: bytes, store: Store) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    path = store.file(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return sha256


def make_wheel(filename: str, note: str) -> bytes:
    """Return a wheel with nothing but its metadata: the index takes no others. Another note makes another content."""
    name, version = filename.split("-")[:2]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA")  # the same at any time
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{note}"
        archive.writestr(info, text)
    return content.getvalue()


def _templates(seeded: Path) -> dict[JobId, Evidence]:
    store = Store(seeded / "wheelhouse")
    rows = store.database.fetch_all("SELECT key FROM evidence")
    found = {one.job: one for (key,) in rows if (one := store.get(key)) is not None}
    store.close()
    # Where two jobs asked the same question, one of them answered for both.
    for job in list(found):
        if job.kind == JobKind.REMEDY:
            found |= {job._replace(base=base): found[job] for base in catalog.load().bases}
    return found


def _fill(graph: plan.Plan, templates: dict[JobId, Evidence], store: Store) -> None:
    ended: dict[JobId, Evidence] = {}
    for job in graph.jobs.values():
        inputs = {role: ended[need] for role, need in job.needs.items()}
        own = job.id.name
        is_image = job.id.kind == JobKind.IMAGE
        template = templates[job.id if is_image else job.id._replace(name=SEED)]
        key = job.key(inputs)
        evidence = replace(
            template, key=key, job=job.id, facts=_renamed(template.facts, own), log=template.log.replace(SEED, own),
            files=dict(_files(template, own, job.id, store)),
            asked=json.dumps(asked_with(job, inputs)),
        )  # fmt: skip
        ended[job.id] = evidence
        store.put(evidence)


def _renamed(facts: Mapping[str, Any], own: str) -> dict[str, Any]:
    renamed: dict[str, Any] = json.loads(
        json.dumps(dict(facts)).replace(SEED, own.replace("-", "_"))
    )
    return renamed


def _files(template: Evidence, own: str, job: JobId, store: Store) -> Iterator[tuple[str, str]]:
    for filename in template.files:
        renamed = filename.replace(SEED, own.replace("-", "_"))
        is_wheel = filename.endswith(".whl")
        note = f"{filename} of {job}"
        sha256 = _file(make_wheel(renamed, note) if is_wheel else note.encode(), store)
        if is_wheel:
            row = (sha256, "", ">=3.9", store.file(sha256).stat().st_size, 0.0)
            store.database.execute("INSERT OR IGNORE INTO distributions VALUES (?,?,?,?,?)", row)
        yield renamed, sha256
