"""Wheelhouses of shards, as honest runs leave them: every job of the plan has a result under its own key."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builder.config import catalog
from builder.config import matrix as matrices
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.farm import merge
from builder.jobs.job import Job, hash_key_parts
from builder.jobs.upstream import Upstream
from builder.plan import graph, shards
from builder.proxy.cache import FetchedFile, IndexCache
from builder.sources import Fault, Pure, Source, Sources, UpstreamWheel
from builder.store.evidence import Evidence, JobOutcome
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from builder.untrusted.package_names import project_of, version_of
from tests.job_ids import inputs_of
from tests.unit.facts import AUDITED

TEXT = """
[farm]
bases = ["debian-12", "debian-13"]
build-on = ["debian-12"]
[packages.foo]
[packages.bar]
[packages.lost]
"""
"""By the plan `bar` and `lost` are shard 1/2, and `foo` is shard 2/2."""

PROBE = {
    "module": "x",
    "native": True,
    "gil": {"before": False, "after": False, "enabled_by": None},
}


def load_matrix(folder: Path, text: str = TEXT) -> matrices.Matrix:
    (folder / "matrix.toml").write_text(text)
    return matrices.load(folder / "matrix.toml")


def wheel_name(name: str, abi: str, version: str = "1.0") -> str:
    return f"{name}-{version}-cp314-{abi}-manylinux_2_17_x86_64.whl"


def add_content(store: Store, content: bytes) -> str:
    path = store.folder / "incoming"
    path.write_bytes(content)
    sha256 = store.add_file(path)
    path.unlink()
    return sha256


def add_wheel(store: Store, name: str, note: str = "", version: str = "1.0") -> str:
    """Put a wheel with nothing but its metadata into a store, and return its sha256."""
    path = store.folder / "incoming.whl"
    with zipfile.ZipFile(path, "w") as archive:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{note}"
        info = zipfile.ZipInfo(f"{name}-{version}.dist-info/METADATA")  # the same at any time
        archive.writestr(info, text)
    sha256 = store.add_file(path)
    path.unlink()
    return sha256


def make_sources(store: Store, names: tuple[str, ...], **more: Any) -> dict[str, Source]:
    pure = Pure(
        name="pure",
        version="1.0",
        filename="pure-1.0-py3-none-any.whl",
        sha256=add_wheel(store, "pure"),
    )
    found = {}
    for name in names:
        found[name] = Source(
            **{
                "name": name,
                "version": "1.0",
                "kind": "index",
                "filename": f"{name}-1.0.tar.gz",
                "sha256": add_content(store, f"sdist of {name}".encode()),
                "pure": (pure,),
                **more,
            }
        )
    return found


def answer(
    job: Job, inputs: Mapping[str, Evidence], store: Store
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return facts and files as the job may have found them."""
    job_id = job.id
    name = project_of(job_id.name)
    version = version_of(job_id.name) or "1.0"
    if job_id.kind == JobKind.IMAGE:
        return {"content": f"content of {job_id}", "tag": f"wheelfarm/{name}:0", "bytes": 1}, {}
    if isinstance(job, Upstream):
        taken = {wheel.abi: wheel for wheel in job.wheels}
        abis = {
            abi: {"wheel": wheel.filename, "origin": "upstream"} for abi, wheel in taken.items()
        }
        return {"abis": abis}, {wheel.filename: wheel.sha256 for wheel in taken.values()}
    if job_id.kind == JobKind.BUILD:
        made = {abi: wheel_name(name, abi, version) for abi in ("cp314", "cp314t")}
        files = {wheel: add_wheel(store, name, wheel, version) for wheel in made.values()}
        return {"abis": {abi: {"wheel": wheel} for abi, wheel in made.items()}, "limits": {}}, files

    wheels = list(inputs["build"].files)
    if job_id.kind == JobKind.AUDIT:
        own = {
            "dist_info": f"{name}-{version}.dist-info",
            "metadata": {"name": [name], "version": [version]},
        }
        return {"wheels": {wheel: {**AUDITED, **own} for wheel in wheels}}, {}
    if job_id.kind == JobKind.LOAD:
        tried = {"claimed": True, "missing": [], "install": None, "modules": [PROBE]}
        return {"loads": {wheel.split("-")[3]: {"wheel": wheel, **tried} for wheel in wheels}}, {}
    if job_id.kind == JobKind.REMEDY:
        return {"found": [], "unknown": []}, {}
    return {"wheel": None}, {}


def play(
    sources: Mapping[str, Source],
    matrix: matrices.Matrix,
    store: Store,
    effort: EffortLevel,
    changed: Mapping[str, str] | None = None,
) -> dict[JobId, Evidence]:
    """Return the evidence of every job of a run, with its logs in the store's wheelhouse.

    In `changed` files of builds have another sha256.
    """
    plan = graph.make_plan(matrix, sources, {}, catalog.load(), Package(), EFFORTS.get(effort))
    evidence: dict[JobId, Evidence] = {}
    for job in plan.jobs.values():
        inputs = inputs_of(job, evidence)
        key = job.key(inputs)
        log = store.log_path(job.id, key)
        log.write_text(f"log of {job.id}")
        facts, files = answer(job, inputs, store)
        files |= {name: sha256 for name, sha256 in (changed or {}).items() if name in files}
        evidence[job.id] = Evidence(
            key=key,
            job=job.id,
            facts=facts,
            files=files,
            log=str(log.relative_to(store.wheelhouse)),
            seconds=2.0,
            asked=json.dumps(hash_key_parts(job, inputs)),
        )
    return evidence


def make_shard(
    folder: Path,
    number: int,
    matrix: matrices.Matrix,
    *names: str,
    faults: tuple[str, ...] = (),
    effort: EffortLevel = EffortLevel.QUICK,
    total: int = 2,
    upstream: tuple[str, ...] = (),
    take_from: str = "sdist",
) -> Path:
    """Make the wheelhouse of a shard that found out something about some packages.

    Upstream has wheels for the ABIs in `upstream`, which are taken as `take_from` says.
    """
    with Store(folder) as store:
        more: dict[str, Any] = {"take_from": take_from}
        if upstream:
            more["wheels"] = tuple(
                UpstreamWheel(
                    abi=abi,
                    filename=wheel_name(names[0], abi),
                    sha256=add_wheel(store, names[0], f"of upstream for {abi}"),
                )
                for abi in upstream
            )
        found = make_sources(store, names, **more)
        evidence = play(found, matrix, store, effort) if found else {}
        for job in evidence:
            if job.kind == JobKind.BUILD:
                add_lock(store, job)
        untold = JobId(JobKind.LOAD, names[0], "debian-12", "debian-13") if names else None
        if untold is not None:
            evidence[untold] = Evidence(
                key=evidence[untold].key,
                job=untold,
                outcome=JobOutcome.UNDETERMINED,
                reason="it could not",
                facts={"code": "WF902"},
            )
        lost = {name: Fault(name=name, code="WF101", detail="no such name") for name in faults}
        shard = shards.Shard(number=number, total=total)
        sources = Sources(found=found, faults=lost)
        merge.write_record(shard, matrix, sources, evidence, store.wheelhouse, effort)
        return store.wheelhouse


def add_lock(store: Store, job: JobId, name: str = "setuptools-84.0.tar.gz") -> FetchedFile:
    """Have a job fetch one file of the index."""
    cache = IndexCache(store.folder / "index")
    content = f"content of {name}".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    fetched = FetchedFile(
        project="setuptools",
        entry={"filename": name, "hashes": {"sha256": sha256}, "requires-python": ">=3.9"},
    )
    cache.add(fetched, lambda path: path.write_bytes(content))
    cache.write_lock(job, [fetched])
    return fetched


def snapshot(folder: Path) -> dict[str, str]:
    """Return what a wheelhouse has: every file with its content, the ledger's rows in place of its file."""
    files: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and "ledger.sqlite" not in name and name != "store/lock":
            files[name] = path.read_bytes().hex()
    with sqlite3.connect(f"file:{folder}/store/ledger.sqlite?mode=ro", uri=True) as ledger:
        for table in ("evidence", "runs", "places", "distributions", "snapshots"):
            rows = ledger.execute(f"SELECT * FROM {table}").fetchall()
            files[table] = repr(rows)
    return files
