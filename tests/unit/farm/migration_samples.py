"""A wheelhouse with an application, as a survey and a whole run with a rollout leave it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from builder.config import matrix as matrices
from builder.config.matrix import Matrix
from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.gather import Survey
from builder.dependencies.survey import MoveOutlook, ReleaseMetadata, Status, SurveyRow
from builder.dependencies.survey_record import record_survey
from builder.index import constraints
from builder.index.constraints import LockedFiles
from builder.report.documents.applications import ApplicationPart
from builder.report.documents.verdicts_json import Document
from builder.sources.kind import Kind
from builder.store.store import Store
from builder.verdicts import ApplicationVerdict
from tests.unit.documents import abi, document
from tests.unit.index.channel_samples import add_release, run

MATRIX = """
[farm]
bases = ["debian-12"]
build-on = ["debian-12"]
abis = ["cp314t"]
[rollout]
age = "0 days"
[packages.foo]
[packages.bar]
[applications.shop]
lock = "shop.txt"
"""
LOCK = "foo==1.0\nbar==1.0\n"
NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def write_project(folder: Path, text: str = MATRIX, lock: str = LOCK) -> Matrix:
    """Write matrix and lock of the application; return the matrix."""
    (folder / "matrix.toml").write_text(text)
    (folder / "shop.txt").write_text(lock)
    return matrices.load_begun(folder / "matrix.toml")


def survey_row(name: str, version: str = "1.0", **statuses: Status) -> SurveyRow:
    """Return what a survey says of a release; `free_threaded=Status.BUILD` for 3.14t."""
    status = statuses.get("free_threaded", Status.READY)
    return SurveyRow(
        name=name,
        version=str(Version(version)),
        where="shop.txt:1",
        kind=Kind.NATIVE,
        sdist=True,
        requires_python="",
        wheels={},
        newest=version,
        newest_wheels={},
        newest_with={},
        metadata=ReleaseMetadata(),
        newest_metadata=ReleaseMetadata(),
        outlooks={
            "3.14": MoveOutlook(status=Status.READY),
            "3.14t": MoveOutlook(status=status),
        },
    )


def survey(store: Store, matrix: Matrix, *rows: SurveyRow, left_out: str = "") -> None:
    """Record a survey of the lock, by default of both releases."""
    if not rows and not left_out:
        rows = (survey_row("foo", free_threaded=Status.BUILD), survey_row("bar"))
    skipped = (SkippedDependency(name=left_out, why="a local sdist"),) if left_out else ()
    record_survey(store, matrix.root / "shop.txt", Survey(rows=rows, left_out=skipped), NOW)


def publish(store: Store, matrix: Matrix, **verdicts: str) -> None:
    """Publish both releases in `canary/`, where they wait; `foo="racy"` for another verdict of one."""
    files = [
        add_release(store, name, verdicts=f"cp314t {verdicts.get(name, 'compatible')}")
        for name in ("foo", "bar")
    ]
    run(store, matrix, *files)


def judge(store: Store, **changes: Any) -> Document:
    """Write verdicts.json of a run that tried the application with its lock, and what else that run leaves."""
    locked = [LockedFiles(name=name, version="1.0", hashes=("0" * 64,)) for name in ("foo", "bar")]
    constraints.write_application("shop", "cp314t", locked, store.wheelhouse)
    fields: dict[str, Any] = {
        "name": "shop",
        "abi": "cp314t",
        "base": "debian-12",
        "verdict": ApplicationVerdict.READY,
        "reason": "it runs",
        "way_out": "",
        "packages": 2,
        "blockers": [],
        "risks": [],
        "log": "",
    }
    part = ApplicationPart(**{**fields, **changes})
    judged = document({"foo": {"cp314t": abi()}, "bar": {"cp314t": abi()}})
    judged = judged.model_copy(update={"applications": [part]})
    (store.wheelhouse / "verdicts.json").write_text(judged.model_dump_json())
    return judged
