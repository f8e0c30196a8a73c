"""Ids of jobs, and which jobs are about which package."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.plan.packages import group_by_package
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store
from tests.job_ids import job_id

NAMES = st.from_regex(r"[a-z][a-z0-9.+-]{0,9}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ("image:debian-12", JobId("image", "debian-12")),
        ("image:builder-debian-12+0123abcd", JobId("image", "builder-debian-12+0123abcd")),
        ("build:yarl@debian-12", JobId("build", "yarl", "debian-12")),
        ("load:yarl@debian-12/ubuntu-24.04", JobId("load", "yarl", "debian-12", "ubuntu-24.04")),
    ],
)
def test_an_id_and_its_text_are_the_same(text: str, job: JobId):
    assert JobId.parse(text) == job
    assert str(job) == f"{job}" == text


@given(st.sampled_from(JobKind), NAMES, st.just("") | NAMES, st.just("") | NAMES)
def test_every_id_is_read_back_from_its_text(kind: JobKind, name: str, base: str, loaded_on: str):
    job = JobId(kind, name, base, loaded_on if base else "")
    assert JobId.parse(str(job)) == job
    assert hash(JobId.parse(str(job))) == hash(job)


@pytest.mark.parametrize("text", ["", "build", "build:", ":yarl@debian-12", "build:@debian-12"])
def test_a_text_without_a_kind_or_a_name_is_no_id(text: str):
    with pytest.raises(ValueError, match="expected KIND:NAME"):
        JobId.parse(text)


def test_ids_are_sorted_by_kind_name_and_bases():
    texts = ["audit:b@x", "build:a@x", "build:a@y", "build:b@x", "load:a@x/x", "load:a@x/y"]
    assert sorted(map(job_id, reversed(texts))) == list(map(job_id, texts))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("image:debian-12", "logs/image/debian-12.01234567.log"),
        ("build:yarl@debian-12", "logs/build/yarl@debian-12.01234567.log"),
        ("load:yarl@debian-12/debian-13", "logs/load/yarl@debian-12_debian-13.01234567.log"),
    ],
)
def test_a_log_is_called_after_its_job(tmp_path: Path, text: str, path: str):
    store = Store(tmp_path)
    log = store.log_path(job_id(text), "0123456789abcdef")
    assert log.relative_to(store.wheelhouse) == Path(path)
    store.close()


def test_the_ledger_holds_the_text_and_finds_what_is_about_a_package(tmp_path: Path):
    store = Store(tmp_path)
    texts = ("build:foo@debian-12", "load:foo@debian-12/debian-13", "build:foo-bar@debian-12")
    for text in (*texts, "image:foo"):
        store.put(Evidence(key=text, job=job_id(text), seconds=1.0))
    rows = store.database.fetch_all("SELECT job FROM evidence ORDER BY rowid")
    assert [job for (job,) in rows] == [*texts, "image:foo"]
    assert [str(one.job) for one in store.newest_evidence_of("foo")] == list(texts[:2])
    store.close()


def test_jobs_are_grouped_by_the_package_they_are_about():
    texts = (
        "image:foo",
        "build:foo@debian-12",
        "audit:foo@debian-12",
        "remedy:foo@debian-12",
        "load:foo@debian-12/debian-13",
        "race:foo@debian-12",
        "exercise:foo@debian-12",
        "speed:foo@debian-12",
        "build:bar@debian-13",
    )
    packages = group_by_package(map(job_id, texts))
    assert packages.keys() == {"foo", "bar"}
    foo = packages["foo"]
    assert foo.builds == {"debian-12": job_id("build:foo@debian-12")}
    assert foo.audits == {"debian-12": job_id("audit:foo@debian-12")}
    assert foo.remedies == {"debian-12": job_id("remedy:foo@debian-12")}
    assert foo.loads == {("debian-12", "debian-13"): job_id("load:foo@debian-12/debian-13")}
    assert foo.races == {"debian-12": job_id("race:foo@debian-12")}
    assert foo.exercises == {"debian-12": job_id("exercise:foo@debian-12")}
    assert foo.speeds == {"debian-12": job_id("speed:foo@debian-12")}
    assert packages["bar"].builds == {"debian-13": job_id("build:bar@debian-13")}
