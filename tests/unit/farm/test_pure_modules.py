"""Which pure packages bring a module that an import did not find."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from builder.farm.pure_modules import find_missing, find_pure_modules
from builder.sources import Pure, Source, Sources
from builder.store.evidence import Evidence
from builder.store.store import Store
from tests.job_ids import job_id
from tests.unit.farm.shard_samples import PROBE


def load(job: str, **more: Any) -> Evidence:
    """Return evidence of a load in which one module raised an exception."""
    probe = {**PROBE, "error": "ModuleNotFoundError: no", **more}
    answer = {"wheel": "x", "claimed": True, "missing": [], "install": None, "modules": [probe]}
    return Evidence(key=job, job=job_id(job), facts={"loads": {"cp314": answer}})


def add(store: Store, folder: Path, name: str, *members: str) -> Pure:
    filename = f"{name}-1.0-py3-none-any.whl"
    path = folder / filename
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "")
    return Pure(name=name, version="1.0", filename=filename, sha256=store.add_file(path))


def source(name: str, **more: Any) -> Source:
    return Source(
        name=name, version="1.0", kind="index", filename=f"{name}.tar.gz", sha256="0" * 64, **more
    )


def test_who_brings_what_is_missing_is_found_in_the_wheels(tmp_path: Path):
    failed = load("load:clib@debian-12/debian-12", missing="ruamel.yaml")
    evidence = {failed.job: failed}
    with Store(tmp_path / "wheelhouse") as store:
        yaml = add(store, tmp_path, "ruamel-yaml", "ruamel/yaml/__init__.py", "x.py")
        other = add(store, tmp_path, "other", "other.py", "x.py")
        broken = tmp_path / "broken"
        broken.write_bytes(b"no archive")
        bad = Pure(name="bad", version="1.0", filename="b", sha256=store.add_file(broken))
        found = {
            "clib": source("clib"),
            "app": source("app", pure=(yaml, other, bad)),
            "yaml": source("ruamel-yaml", only_pure=yaml),
        }
        sources = Sources(found=found)
        assert find_pure_modules(sources, evidence, store) == {"ruamel": ("ruamel-yaml",)}
        # Where nothing is missing no wheel is read.
        store.file(yaml.sha256).unlink()
        assert find_pure_modules(sources, {}, store) == {}


def test_what_is_missing_is_named_by_its_first_part_and_evidence_that_nobody_can_read_is_skipped():
    good = load("load:a@debian-12/debian-12", missing="a.b")
    bad = Evidence(key="b", job=job_id("load:b@debian-12/debian-12"), facts={"loads": 3})
    none = load("load:c@debian-12/debian-12")
    assert find_missing({one.job: one for one in (good, bad, none)}) == {"a"}
