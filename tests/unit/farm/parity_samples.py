"""A wheelhouse with an application on two bases, as a whole run leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from builder import index
from builder.config import matrix as matrices
from builder.config.matrix import Matrix
from builder.evidence.kinds import schema_version
from builder.index import ServedFile
from builder.judge.bases import BaseOutcome
from builder.report.documents.applications import ApplicationPart
from builder.report.documents.verdicts_json import Document
from builder.store.evidence import Evidence
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict
from tests.job_ids import job_id
from tests.unit.documents import abi, document
from tests.unit.facts import AUDITED, LOADED
from tests.unit.wheels import add_wheel

MATRIX = """
[farm]
bases = ["debian-12", "ubuntu-24.04"]
build-on = ["debian-12"]
abis = ["cp314t"]
[packages.foo]
apt = ["libfoo-dev"]
apt-run = { debian = ["libfoo1"], ubuntu = ["libfoo1t64"] }
[applications.shop]
lock = "shop.txt"
apt = ["libpq5"]
[applications.small]
lock = "shop.txt"
bases = ["debian-12"]
"""
WHEEL = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"


def write_project(folder: Path) -> Matrix:
    """Write matrix and lock of the application; return the matrix."""
    (folder / "matrix.toml").write_text(MATRIX)
    (folder / "shop.txt").write_text("foo==1.0\nbar==2.0\n")
    return matrices.load(folder / "matrix.toml")


def fill(store: Store) -> Document:
    """Record what a run would: the index, audits, loads, images and trials; return its verdicts."""
    files = [WHEEL, "bar-2.0-py3-none-any.whl"]
    served = [ServedFile(filename=name, sha256=add_wheel(store, name)) for name in files]
    index.publish(index.describe(served, store), store)

    record(store, "audit:foo@debian-12", {"wheels": {WHEEL: AUDITED}})
    load = {"wheel": WHEEL, "claimed": True, "missing": [], **LOADED}
    for base in ("debian-12", "ubuntu-24.04"):
        record(store, f"load:foo@debian-12/{base}", {"loads": {"cp314t": load}})
        trial = {"install": None, "imports": {"modules": 2, "failed": [], "gil": False}}
        record(store, f"application:shop@cp314t/{base}", trial)
    record(
        store,
        "image:verify-debian-12",
        {"tag": "verify:1", "content": "1", "packages": {"libffi8": "3.4.4-1"}},
    )
    return write_verdicts(store)


def record(store: Store, job: str, facts: dict[str, Any]) -> None:
    parsed = job_id(job)
    version = schema_version(parsed.kind)
    store.put(Evidence(key=job, job=parsed, facts=facts, facts_version=version))


def write_verdicts(store: Store) -> Document:
    """Write verdicts.json of one native package and the application."""
    outcomes = dict.fromkeys(("debian-12", "ubuntu-24.04"), BaseOutcome.IMPORTS)
    judged = abi().model_copy(update={"on": outcomes})
    parts = [
        ApplicationPart(
            name="shop",
            abi="cp314t",
            base=base,
            verdict=ApplicationVerdict.READY,
            reason="it runs",
            way_out="",
            packages=2,
            blockers=[],
            risks=[],
            log="logs/application/shop.log",
        )
        for base in outcomes
    ]
    text = document({"foo": {"cp314t": judged}}).model_copy(update={"applications": parts})
    (store.wheelhouse / "verdicts.json").write_text(text.model_dump_json())
    return Document.model_validate_json(text.model_dump_json())
