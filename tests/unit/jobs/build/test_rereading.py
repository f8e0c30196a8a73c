"""Failures that were recorded under other rules are read anew from their logs, and nothing is built for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builder.jobs.build.build import Build
from builder.jobs.build.log import rules_digest
from builder.jobs.job import RereadableJob, get_recorded, recorded_lookup
from builder.store.evidence import Evidence
from builder.store.store import Store

NOISE = "Building cp314-manylinux_x86_64 wheel\nBuilding wheel...\n"
LOG = f"{NOISE}a.c:1:1: fatal error: ffi.h: No such file or directory\n"
BUILD = Build(
    name="foo", version="1", base="debian-12", sdist_filename="foo-1.tar.gz", sdist_sha256="0", abis=("cp314", "cp314t"),
    environment={}, config_settings={}, skip={}, timeout_s=1, memory_bytes=1,
)  # fmt: skip
OLD = {
    "code": "WF201",
    "stage": "build",
    "error": "what other rules made of it",
    "remedy": "",
    "missing": [],
}


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def facts(length: int, **more: Any) -> dict[str, Any]:
    call = {
        "abis": ["cp314"], "exit_code": 1, "log": [5, 5 + length], "timeout_s": None, "memory_bytes": None, "processes": None,
    }  # fmt: skip
    failed = {"failure": OLD, "call": call}
    return {
        "abis": {"cp314": failed, "cp314t": {"wheel": "foo.whl", "requires_python": ""}},
        "rules": "other",
        **more,
    }


def put(store: Store, **more: Any) -> None:
    log = store.log_path(BUILD.id, "k")
    log.write_text(f"1234\n{LOG}what the next call prints: b.c:1:1: error: no\n")
    place = str(log.relative_to(store.wheelhouse))
    store.put(Evidence(key="k", job=BUILD.id, facts=facts(len(LOG), **more), log=place))


def read(store: Store) -> dict[str, Any]:
    found = get_recorded(BUILD, "k", store)
    assert found is not None
    return dict(found.facts)


def test_a_recorded_failure_is_read_by_todays_rules(store: Store):
    assert isinstance(BUILD, RereadableJob)
    put(store)
    read_anew = read(store)
    failure = read_anew["abis"]["cp314"]["failure"]
    assert (failure["code"], failure["error"]) == ("WF202", "a header is missing: ffi.h")
    assert failure["missing"] == (("header", "ffi.h"),)
    assert read_anew["abis"]["cp314t"] == {"wheel": "foo.whl", "requires_python": ""}
    assert read_anew["rules"] == rules_digest()


def test_under_the_same_rules_what_was_recorded_stands(store: Store):
    put(store, rules=rules_digest())
    assert read(store)["abis"]["cp314"]["failure"] == OLD


def test_without_its_log_what_was_recorded_stands(store: Store):
    put(store)
    store.log_path(BUILD.id, "k").unlink()
    assert read(store)["abis"]["cp314"]["failure"] == OLD


def test_what_no_log_tells_stands(store: Store):
    store.put(
        Evidence(key="k", job=BUILD.id, facts={"abis": {"cp314": {"failure": OLD}}, "limits": {}})
    )
    assert read(store)["abis"]["cp314"] == {"failure": OLD}
    assert get_recorded(BUILD, "unknown", store) is None


def test_facts_of_a_newer_version_count_as_not_recorded(store: Store):
    newer = Evidence(key="k", job=BUILD.id, facts={"wheels": []}, facts_version=3)
    store.put(newer)

    assert store.get("k") == newer, "they stay for the farm that wrote them"
    assert get_recorded(BUILD, "k", store) is None
    assert recorded_lookup(store)(BUILD, "k") is None


def test_facts_of_a_known_version_are_recorded(store: Store):
    store.put(Evidence(key="k", job=BUILD.id, facts=facts(1), facts_version=1))

    assert get_recorded(BUILD, "k", store) is not None
    assert recorded_lookup(store)(BUILD, "k") is not None
