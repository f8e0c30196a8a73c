"""What is known of building a package's sdist, from the evidence of earlier runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builder.evidence.build import Failure
from builder.farm.past_builds import find_past_builds
from builder.jobs.build.build import Build
from builder.jobs.job import hash_key_parts
from builder.judge.ways_out import PastBuild
from builder.sources import Source
from builder.store.evidence import Evidence
from builder.store.store import Store
from tests.job_ids import job_id

FOO = Source(
    name="foo",
    version="1.0",
    kind="index",
    filename="foo-1.0.tar.gz",
    sha256="1" * 64,
    take_from="wheel",
    lacking=(("cp314t", "none"),),
)
FAILED = {"code": "WF201", "stage": "s", "error": "free threading is not supported", "remedy": ""}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


def record(store: Store, number: int, sha256: str, **abis: Any) -> None:
    """Record the evidence of a build of an sdist."""
    job = Build(
        name="foo",
        version="1.0",
        base="debian-12",
        sdist_filename="foo-1.0.tar.gz",
        sdist_sha256=sha256,
        abis=("cp314", "cp314t"),
        environment={},
        config_settings={},
        skip={},
        timeout_s=60,
        memory_bytes=1 << 30,
    )
    asked = json.dumps(hash_key_parts(job))
    built = job_id("build:foo@debian-12")
    store.put(Evidence(key=f"k{number}", job=built, facts={"abis": abis}, asked=asked))


def test_the_newest_build_of_the_same_sdist_tells_what_building_it_comes_to(store: Store):
    record(store, 1, FOO.sha256, cp314t={"wheel": "foo-1.0-cp314-cp314t-linux_x86_64.whl"})
    record(store, 2, FOO.sha256, cp314t={"failure": FAILED})
    record(store, 3, "2" * 64, cp314t={"wheel": "foo-1.0-cp314-cp314t-linux_x86_64.whl"})
    expected = PastBuild(base="debian-12", failure=Failure.model_validate(FAILED))
    assert find_past_builds({"foo": FOO}, store) == {"foo": {"cp314t": expected}}


def test_what_was_never_built_or_lacks_nothing_has_no_past(store: Store):
    built = Source(name="bar", version="1.0", kind="index", filename="b.tar.gz", sha256="3" * 64)
    assert find_past_builds({"foo": FOO, "bar": built}, store) == {"foo": {}}
