import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from builder.config import catalog
from builder.config.matrix import Matrix
from builder.errors import NoRecordError
from builder.judge.package import judge_fault
from builder.report.documents import verdicts_json
from builder.report.terminal import story
from builder.sources import Fault
from builder.store.evidence import Evidence
from builder.store.store import Store
from tests.job_ids import job_id
from tests.unit import documents
from tests.unit.documents import SPEED, UNKNOWN_SPEED, abi

LOAD = {
    "loads": {
        "cp314t": {
            "wheel": "foo-2.0-cp314-cp314t-linux_x86_64.whl",
            "claimed": True,
            "missing": [],
            "modules": [
                {
                    "module": "foo",
                    "native": False,
                    "seconds": 0.0123,
                    "rss_bytes": 3 << 20,
                    "gil": {"before": False, "after": False, "enabled_by": None},
                    "natives": {
                        "foo._x": {"init": "multi-phase", "gil": "not-used", "interpreters": None}
                    },
                }
            ],
        }
    }
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    recorded: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("1", "build:foo@debian-12", {"abis": {}}),
        ("2", "load:foo@debian-12/debian-13", {"loads": {}}),
        ("3", "load:foo@debian-12/debian-13", LOAD),
        ("4", "build:foo-bar@debian-12", {"abis": {}}),
    )
    with Store(tmp_path) as house:
        for key, job, facts in recorded:
            log = f"logs/{key}.log"
            house.put(Evidence(key=key, job=job_id(job), facts=facts, log=log, seconds=2.0))
        yield house


def text_of(told: story.Story) -> str:
    out = io.StringIO()
    story.render(told, Console(file=out, width=200))
    return out.getvalue()


def test_the_newest_evidence_of_each_of_its_jobs_is_told(store: Store):
    told = story.read("Foo", store)
    assert [job.key for job in told.jobs] == ["1", "3"]
    text = text_of(told)
    assert "not judged yet" in text
    assert "12 ms" in text
    assert "foo._x (multi-phase, GIL not-used)" in text
    assert "GIL stays off" in text
    assert "logs/3.log" in text


def test_verdicts_findings_and_remedies_are_told(store: Store):
    fault = Fault(
        name="foo", code="WF102", detail="the index has no sdist of foo 2.0", version="2.0"
    )
    verdicts_json.write(
        [judge_fault(fault, catalog.load().abis.values())], Matrix(), store.wheelhouse
    )
    told = story.read("foo", store)
    text = text_of(told)
    for part in (
        "foo 2.0",
        "cp314t",
        "build-failure",
        "WF102",
        "the index has no sdist",
        "choose a release",
    ):
        assert part in text
    record = json.loads(json.dumps(told.record()))
    assert record["verdicts"]["abis"]["cp314"]["verdict"] == "build-failure"
    assert [job["id"] for job in record["jobs"]] == [
        "build:foo@debian-12",
        "load:foo@debian-12/debian-13",
    ]


def test_whose_wheel_a_verdict_is_about_is_told():
    taken = abi()
    taken.wheels[0].origin = "upstream"
    (package,) = documents.document({"foo": {"cp314": taken}}).packages
    without_sdist = package.source.model_copy(
        update={"kind": "index", "filename": "", "sha256": "", "take_from": "either"}
    )
    with_sdist = without_sdist.model_copy(
        update={"filename": "foo-1.0.tar.gz", "sha256": "1" * 64, "take_from": "wheel"}
    )
    for source, words in (
        (without_sdist, "source no sdist from the index: upstream's wheels"),
        (with_sdist, "for the race detector alone: the wheels are upstream's"),
    ):
        told = story.Story(
            name="foo", package=package.model_copy(update={"source": source}), jobs=()
        )
        text = " ".join(text_of(told).split())
        assert words in text
        assert "upstream's own, taken for debian-12, needs manylinux_2_17" in text


def test_the_rust_of_a_wheel_is_told_where_it_is_not_the_bases_own():
    built = abi()
    built.wheels[0].rust = "1.98.0"
    (package,) = documents.document({"foo": {"cp314": built}}).packages
    text = " ".join(text_of(story.Story(name="foo", package=package, jobs=())).split())
    assert "built on debian-12 with Rust 1.98.0, needs manylinux_2_17" in text


def test_speed_and_the_outcome_on_each_base_are_told():
    packages = {"foo": {"cp314": abi()}, "bar": {"cp314": abi()}}
    fast, unknown = documents.document(packages, foo=SPEED, bar=UNKNOWN_SPEED).packages
    text = " ".join(text_of(story.Story(name="foo", package=fast, jobs=())).split())
    for part in (
        "bases debian-12 imports, debian-13 fails",
        "a call takes 1.12 times its CPU time with the GIL (0.98 to 1.43, by call; a loop of pure Python 1.15).",
        "relative to one thread on cp314: cp314 1.00 on 1, 0.99 on 2, 0.97 on 4; cp314t 0.93 on 1, 1.81 on 2, 1.74 on 4",
        "Measured: 8 of 11 calls",
    ):
        assert part in text
    assert "Not measured: no call is known." in text_of(
        story.Story(name="bar", package=unknown, jobs=())
    )


def test_an_unknown_package_is_an_error_that_says_what_is_known(store: Store):
    with pytest.raises(NoRecordError, match="knows nothing of nix"):
        story.read("nix", store)


def test_a_version_is_told_by_its_name_or_as_the_one_that_the_project_has(store: Store):
    abis = list(catalog.load().abis.values())
    faults = [
        Fault(name=name, code="WF102", detail="no sdist", version=version)
        for name, version in (("foo", "2.0"), ("foo==1.0", "1.0"))
    ]
    judged = [judge_fault(fault, abis) for fault in faults]
    verdicts_json.write(judged, Matrix(), store.wheelhouse)
    versions: list[str] = []
    for text in ("Foo", "foo==2.0", "FOO == 1.0"):
        package = story.read(text, store).package
        assert package is not None
        assert package.project == "foo"
        versions.append(package.version)
    assert versions == ["2.0", "2.0", "1.0"]
    assert "foo 1.0" in text_of(story.read("foo==1.0", store))
    with pytest.raises(NoRecordError, match=r"It knows: foo, foo==1\.0"):
        story.read("bar", store)
