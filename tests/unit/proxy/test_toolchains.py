"""Rust toolchains in records, in locks and in the wheelhouse's cache."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from builder.errors import InfrastructureError
from builder.farm.shard_lock import UnfitLockError, parse_lock
from builder.jobs.build.cache_record import hash_requirements
from builder.proxy.cache import IndexCache
from builder.proxy.crates import Crates
from builder.proxy.report import SessionReport, parse_record
from builder.proxy.toolchains import (
    ToolchainFile,
    ToolchainManifest,
    Toolchains,
    toolchain_settings,
)
from builder.store.job_ids import JobId, JobKind

JOB = JobId(JobKind.BUILD, "foo", "debian-12")
FILE = ToolchainFile(version="1.98.0", filename="cargo-1.98.0.tar.xz", sha256="0" * 64)
MANIFEST = ToolchainManifest(version="1.98.0", sha256="1" * 64)
TOOLCHAINS = Toolchains(files=(FILE,), manifests=(MANIFEST,))
CRATES = Crates(toolchains=TOOLCHAINS)
FILE_JSON = {"version": "1.98.0", "filename": "cargo-1.98.0.tar.xz", "sha256": "0" * 64}
MANIFEST_JSON = {"version": "1.98.0", "sha256": "1" * 64}


def test_a_lock_holds_a_toolchain_and_its_manifest(tmp_path: Path):
    cache = IndexCache(tmp_path)
    cache.write_lock(JOB, (), CRATES)
    assert cache.read_crate_lock(JOB) == CRATES
    content = (tmp_path / "locks/build/foo@debian-12.json").read_bytes()
    assert parse_lock(str(JOB), content) == ([], CRATES)
    assert CRATES.hashes() == ["0" * 64, "1" * 64]


def test_manifests_are_held_where_they_are_here(tmp_path: Path):
    cache = IndexCache(tmp_path)
    text = b"a manifest"
    here = ToolchainManifest(version="1.97.0", sha256=hashlib.sha256(text).hexdigest())
    cache.add_content(here.sha256, "Rust 1.97.0", lambda path: path.write_bytes(text))
    cache.note_toolchain_manifests([here, MANIFEST])
    assert cache.toolchain_manifests() == {"1.97.0": here.sha256}
    assert cache.crate_pages() == {}


@pytest.mark.parametrize(
    "lock",
    [
        {"toolchains": {}},
        {"toolchain-files": "abc"},
        {"toolchain-files": [1]},
        {"toolchain-files": [{**FILE_JSON, "filename": "../up"}]},
        {"toolchain-files": [{**FILE_JSON, "version": "stable"}]},
        {"toolchain-files": [{**FILE_JSON, "sha256": "0"}]},
        {"toolchains": [{**MANIFEST_JSON, "version": "1.98"}]},
        {"toolchains": [{"version": "1.98.0"}]},
        {"toolchains": [MANIFEST_JSON] * 101},
    ],
)
def test_what_is_no_toolchain_is_no_lock_of_a_shard(lock: dict[str, Any]):
    content = json.dumps({"job": str(JOB), "files": [], **lock}).encode()
    with pytest.raises(UnfitLockError):
        parse_lock(str(JOB), content)


def test_what_a_session_had_is_in_its_report_and_counts_for_the_compiler_cache():
    older = ToolchainFile(version="1.98.0", filename=FILE.filename, sha256="5" * 64)
    report = SessionReport(crates=Crates(toolchains=Toolchains(files=(older,)))).merge(
        SessionReport(crates=CRATES)
    )
    assert report.crates == CRATES
    assert report.crates.toolchains.version == "1.98.0"
    assert report.record()["fetched"] == [{"filename": FILE.filename, "sha256": "0" * 64}]
    assert hash_requirements([FILE], ()) != hash_requirements([older], ())


def test_a_server_that_does_not_answer_is_no_fault_of_the_package_but_one_without_the_release_is():
    silent = SessionReport(unanswered_toolchains=("http://a.invalid/ (timed out)",))
    error = silent.infrastructure_error()
    assert error is not None
    assert error.code == "WF106"
    assert "no other was to be had: http://a.invalid/ (timed out)" in str(error)
    assert SessionReport(lacking_toolchains=("x answered 404",)).infrastructure_error() is None


@pytest.mark.parametrize(
    "line",
    [
        {"kind": "toolchain", **MANIFEST_JSON, "version": "latest"},
        {"kind": "toolchain", "version": "1.98.0"},
        {"kind": "toolchain-file", **FILE_JSON, "filename": "a/b"},
        {"kind": "lacks-toolchain", "what": 1},
    ],
)
def test_a_record_with_something_else_is_refused(line: dict[str, Any]):
    with pytest.raises(InfrastructureError):
        parse_record(json.dumps(line).encode())


def test_the_proxy_is_told_of_the_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RUSTUP_DIST_SERVER", raising=False)
    monkeypatch.setenv("WHEELFARM_RUSTUP_DIST_SERVER", "https://me:secret@rust.invalid")
    assert toolchain_settings({"a": "b"}) == {
        "url": "https://rust.invalid/",
        "authorization": "Basic bWU6c2VjcmV0",
        "held": {"a": "b"},
    }
    monkeypatch.delenv("WHEELFARM_RUSTUP_DIST_SERVER")
    assert toolchain_settings({})["url"] == ""
