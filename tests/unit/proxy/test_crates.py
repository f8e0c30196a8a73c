"""Crates in records, in locks and in the wheelhouse's cache."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from builder.errors import InfrastructureError
from builder.farm.shard_lock import UnfitLockError, parse_lock
from builder.jobs.build.cache_record import hash_requirements
from builder.proxy.cache import IndexCache
from builder.proxy.crates import CratePage, Crates, FetchedCrate, registry_settings
from builder.proxy.report import SessionReport, parse_record
from builder.store.job_ids import JobId, JobKind

JOB = JobId(JobKind.BUILD, "foo", "debian-12")
CRATE = FetchedCrate(name="tiny", version="0.1.0+wasi", sha256="0" * 64)
PAGE = CratePage(name="tiny", sha256="1" * 64)
CRATES = Crates(files=(CRATE,), pages=(PAGE,))
CRATE_JSON = {"name": "tiny", "version": "0.1.0+wasi", "sha256": "0" * 64}
PAGE_JSON = {"name": "tiny", "sha256": "1" * 64}


def test_a_lock_holds_crates_and_what_the_index_said_of_them(tmp_path: Path):
    cache = IndexCache(tmp_path)
    assert cache.read_crate_lock(JOB) == Crates()
    cache.write_lock(JOB, ())
    assert cache.read_crate_lock(JOB) == Crates()
    cache.write_lock(JOB, (), CRATES)
    assert cache.read_crate_lock(JOB) == CRATES

    content = (tmp_path / "locks/build/foo@debian-12.json").read_bytes()
    assert parse_lock(str(JOB), content) == ([], CRATES)


def test_what_the_index_said_last_is_held_where_it_is_here(tmp_path: Path):
    cache = IndexCache(tmp_path)
    text = b"what the index says"
    here = CratePage(name="here", sha256=hashlib.sha256(text).hexdigest())
    cache.add_content(here.sha256, here.name, lambda path: path.write_bytes(text))
    cache.note_crate_pages([CratePage(name="here", sha256="2" * 64), PAGE])
    cache.note_crate_pages([here])
    assert cache.crate_pages() == {"here": here.sha256}


@pytest.mark.parametrize(
    "crates",
    [
        {"crates": 3},
        {"crates": [3]},
        {"crates": [{"name": "tiny"}]},
        {"crates": [{**CRATE_JSON, "name": "../tiny"}]},
        {"crates": [{**CRATE_JSON, "version": "1/../2"}]},
        {"crates": [{**CRATE_JSON, "version": 3}]},
        {"crates": [{**CRATE_JSON, "sha256": "../0"}]},
        {"crate-pages": [{**PAGE_JSON, "name": "-r"}]},
        {"crate-pages": [{**PAGE_JSON, "sha256": ""}]},
        {"crate-pages": [PAGE_JSON] * 10_001},
    ],
    ids=range(10),
)
def test_what_is_no_crate_is_no_lock_of_a_shard(tmp_path: Path, crates: dict[str, Any]):
    content = json.dumps({"job": str(JOB), "files": [], **crates}).encode()
    with pytest.raises(UnfitLockError):
        parse_lock(str(JOB), content)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind": "crate", "name": "tiny", "version": "0.1.0", "sha256": "short"}',
        b'{"kind": "crate", "name": "../tiny", "version": "0.1.0", "sha256": "' + b"0" * 64 + b'"}',
        b'{"kind": "crate", "name": "tiny", "sha256": "' + b"0" * 64 + b'"}',
        b'{"kind": "crate-page", "name": "tiny", "sha256": "../1"}',
        b'{"kind": "no-crate", "what": 3}',
    ],
    ids=range(5),
)
def test_what_is_no_crate_is_no_event(line: bytes):
    with pytest.raises(InfrastructureError, match="record of a session"):
        parse_record(line)


def test_a_report_names_crates_among_what_was_fetched_and_of_a_name_the_last():
    newer = FetchedCrate(name="tiny", version="0.1.0+wasi", sha256="2" * 64)
    report = SessionReport(crates=CRATES).merge(SessionReport(crates=Crates(files=(newer,))))
    named = {"filename": "tiny-0.1.0+wasi.crate", "sha256": "2" * 64}
    assert report.record()["fetched"] == [named]
    assert report.crates.pages == (PAGE,)


def test_a_registry_that_did_not_give_a_crate_explains_a_failure():
    report = SessionReport(unanswered_crates=("a 1 (503)", "b 1 (503)", "c 1 (503)", "d 1 (503)"))
    error = SessionReport().merge(report).infrastructure_error()
    assert error is not None
    assert error.code == "WF106"
    assert "the registry of crates did not give a 1 (503), b 1 (503), c 1 (503)" in str(error)
    assert "d 1 (503)" not in str(error)


def test_crates_count_for_what_a_compiler_cache_was_filled_with():
    assert hash_requirements([CRATE], []) != hash_requirements([], [])


@pytest.mark.parametrize("stated", ["", "sparse+https://crates.invalid/index/"])
def test_the_proxy_is_told_of_the_registry(
    stated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CARGO_HOME", str(tmp_path))
    monkeypatch.setenv("WHEELFARM_CARGO_REGISTRY", stated)
    settings = registry_settings({"tiny": "0"})
    assert settings == {"url": stated.removeprefix("sparse+"), "token": "", "held": {"tiny": "0"}}
