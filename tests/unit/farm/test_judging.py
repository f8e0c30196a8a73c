import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.config.effort import EffortLevel
from builder.farm.judging import find_extras, judge_packages
from builder.sources import Source, Sources
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from builder.verdicts import Verdict
from tests.job_ids import job_id
from tests.unit.farm import shard_samples as samples

HUGE = 10**400


def change(evidence: dict[JobId, Evidence], job: JobId, facts: Any) -> dict[JobId, Evidence]:
    return {**evidence, job: replace(evidence[job], facts=facts)}


@pytest.mark.parametrize(
    ("job", "facts"),
    [
        ("build:foo@debian-12", {}),
        ("build:foo@debian-12", {"abis": 3}),
        ("build:foo@debian-12", {"abis": {"cp314": {"wheel": "no wheel's name"}}}),
        ("build:foo@debian-12", {"abis": {"cp314": {"wheel": f"foo-{'9' * 5000}-py3-none-any.whl"}}}),
        ("build:foo@debian-12", {"abis": {"cp314": {"wheel": "foo-1.0-cp314-cp314-linux_x86_64.whl"}}}),
        ("audit:foo@debian-12", {"wheels": {}}),
        ("audit:foo@debian-12", {"wheels": {"x": {}}}),
        ("audit:foo@debian-12", {"wheels": {}, "\ud800": "\ud800"}),
        ("load:foo@debian-12/debian-12", {"loads": {"cp314": {"wheel": HUGE}}}),
        ("load:foo@debian-12/debian-12", {"loads": [["cp314"]]}),
        ("race:foo@debian-12", {"wheel": "foo", "races": [{}]}),
        ("exercise:foo@debian-12", {"wheel": float("nan")}),
        ("remedy:foo@debian-12", None),
    ],
)  # fmt: skip
def test_evidence_that_nobody_expects_ends_no_report(tmp_path: Path, job: str, facts: Any):
    matrix = samples.load_matrix(tmp_path, samples.TEXT.replace("[packages.lost]", ""))
    with Store(tmp_path / "wheelhouse") as store:
        found = samples.make_sources(store, ("foo", "bar"))
        evidence = samples.play(found, matrix, store, EffortLevel.QUICK)
    honest = judge_packages(matrix, Sources(found=found), evidence)
    hostile = change(evidence, job_id(job), facts)
    foo, bar = judge_packages(matrix, Sources(found=found), hostile)
    assert bar == honest[1]
    assert foo.name == "foo"
    for judgement in foo.abis.values():
        if job.startswith("remedy"):
            continue  # nothing was missed, so nobody asks
        assert judgement.verdict.rank >= Verdict.UNDETERMINED.rank
        assert judgement.reason.isprintable()
        json.dumps(judgement.reason).encode()


def test_evidence_that_is_missing_makes_its_package_undetermined(tmp_path: Path):
    matrix = samples.load_matrix(tmp_path, samples.TEXT.replace("[packages.lost]", ""))
    with Store(tmp_path / "wheelhouse") as store:
        found = samples.make_sources(store, ("foo", "bar"))
        evidence = samples.play(found, matrix, store, EffortLevel.NONE)
    honest = judge_packages(matrix, Sources(found=found), evidence)
    del evidence[job_id("load:foo@debian-12/debian-13")]
    foo, bar = judge_packages(matrix, Sources(found=found), evidence)
    assert {judgement.verdict for judgement in foo.abis.values()} == {Verdict.UNDETERMINED}
    assert [finding.code for finding in foo.abis["cp314"].findings] == ["WF904"]
    assert bar == honest[1]


def test_who_names_a_package_in_an_extra_is_found():
    late = Source(name="late", version="1.0", kind="index", filename="late.tar.gz", sha256="0" * 64)
    early = replace(late, name="early", requires=("late==1.0; extra == 'c'", "plain>=1"))
    assert find_extras([late, early]) == {"late": ["early"]}


def test_versions_of_one_project_bring_the_same_files_and_are_judged_apart(tmp_path: Path):
    text = samples.TEXT.replace("[packages.lost]", '[packages."foo==2.0"]')
    matrix = samples.load_matrix(tmp_path, text)
    with Store(tmp_path / "wheelhouse") as store:
        found = samples.make_sources(store, ("foo", "bar"))
        found["foo==2.0"] = replace(found["foo"], name="foo==2.0", version="2.0")
        evidence = samples.play(found, matrix, store, EffortLevel.NONE)
    judged = judge_packages(matrix, Sources(found=found), evidence)
    assert [(package.name, package.project, package.version) for package in judged] == [
        ("foo", "foo", "1.0"),
        ("bar", "bar", "1.0"),
        ("foo==2.0", "foo", "2.0"),
    ]
    first, _, second = judged
    for abi, judgement in first.abis.items():
        wheels = [samples.wheel_name("foo", abi), samples.wheel_name("foo", abi, "2.0")]
        assert [wheel.filename for wheel in judgement.wheels] == wheels[:1]
        assert [wheel.filename for wheel in second.abis[abi].wheels] == wheels[1:]
        codes = {finding.code for finding in (*judgement.findings, *second.abis[abi].findings)}
        assert codes.isdisjoint({"WF330", "WF334"})
