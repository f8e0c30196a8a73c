"""Upstream's own wheels are judged as built ones are, a verdict says whose they are, and what ours lacks is a finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builder.evidence.build import Failure
from builder.judge import interfaces
from builder.judge.package import Judgement, judge_package
from builder.judge.package_evidence import PackageEvidence
from builder.judge.ways_out import PastBuild, WayOut
from builder.sources import Source, UpstreamWheel
from builder.store.evidence import Evidence
from builder.verdicts import Verdict
from tests.job_ids import job_id
from tests.unit.facts import AUDITED, MODULE, OBJECT
from tests.unit.judge.test_package import (
    ABIS,
    BASES,
    FAILURE,
    SOURCE,
    audit,
    build,
    load,
    module,
    wheel,
)
from tests.unit.judge.threads.test_jobs import exercise, race

LIBRARY = {**OBJECT, "kind": "library", "needed": [], "init": None}


def judge(
    built: Evidence,
    *,
    source: Source = SOURCE,
    audited: Evidence | None = None,
    loaded: Evidence | None = None,
    abi: str = "cp314t",
    **more: Any,
) -> Judgement:
    evidence = PackageEvidence(
        source=source,
        builds={"debian-12": built},
        audits={"debian-12": audited or audit()},
        loads={("debian-12", "debian-13"): loaded or load()},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
        **more,
    )
    return judge_package(evidence, ABIS).abis[abi]


def taken(abi: str, **more: Any) -> dict[str, Any]:
    return {"wheel": wheel(abi), "requires_python": "", "origin": "upstream", **more}


def codes(judgement: Judgement) -> list[str]:
    return [finding.code for finding in judgement.findings]


def test_a_verdict_says_that_the_wheel_is_upstreams():
    judgement = judge(build(cp314=taken("cp314")), abi="cp314")
    assert judgement.verdict is Verdict.COMPATIBLE
    assert judgement.reason.startswith("upstream's wheel for manylinux_2_17, imports on debian-13")
    assert [made.origin for made in judgement.wheels] == ["upstream"]
    assert [made.origin for made in judge(build(), abi="cp314").wheels] == ["built"]


def test_a_verdict_names_the_rust_of_what_was_built_and_not_of_what_upstream_built():
    built = build(cp314t=taken("cp314t"))
    built = replace(built, facts={**built.facts, "rust": "1.98.0"})
    assert [made.rust for made in judge(built, abi="cp314").wheels] == ["1.98.0"]
    assert [made.rust for made in judge(built, abi="cp314t").wheels] == [""]


def test_a_wheel_in_the_place_of_a_failed_build_is_judged_as_it_is_and_said_to_be_that():
    stands = taken("cp314t", stands_for=FAILURE["failure"])
    judgement = judge(build(cp314t=stands), race=race(), exercise=exercise())
    assert judgement.verdict is Verdict.COMPATIBLE
    (finding,) = [one for one in judgement.findings if one.code == "WF221"]
    assert finding.detail == "missing header, library or program: a header is missing: x.h"
    assert finding.remedy == "add x"

    broken = load(module("foo", error="ImportError: no"))
    assert judge(build(cp314t=stands), loaded=broken).verdict is Verdict.IMPORT_FAILURE


def test_an_abi_that_upstream_has_no_wheel_for_fails():
    lack = {"code": "WF220", "stage": "s", "error": "foo 1.0: none", "remedy": ""}
    judgement = judge(build(cp314t={"failure": lack}))
    assert judgement.verdict is Verdict.BUILD_FAILURE
    assert judgement.reason == "no upstream wheel: foo 1.0: none"


LACK = {"code": "WF220", "stage": "s", "error": "foo 1.0: none", "remedy": ""}
LACKING = replace(SOURCE, take_from="wheel", lacking=(("cp314t", "none"),))
FREE = "Programming Language :: Python :: Free Threading :: 3 - Stable"


def find_ways(source: Source, **more: Any) -> tuple[WayOut, ...]:
    """Return the ways out of the lack of a wheel for cp314t."""
    judgement = judge(build(cp314=taken("cp314"), cp314t={"failure": LACK}), source=source, **more)
    (finding,) = [one for one in judgement.findings if one.code == "WF220"]
    assert finding.remedy == "; or ".join(way.text for way in finding.ways_out)
    return finding.ways_out


def test_nobody_promises_that_an_sdist_builds_where_nobody_tried():
    assert find_ways(LACKING) == (
        WayOut(
            text='try `from = "either"` in [packages.foo]: whether its sdist builds for cp314t is not known'
        ),
    )


def test_a_classifier_of_upstreams_other_wheel_is_quoted():
    audited = audit()
    audited.facts["wheels"][wheel("cp314")]["metadata"]["classifier"] = [FREE]
    (way,) = find_ways(LACKING, audited=audited)
    assert way.text.endswith(f"for cp314t is not known, and it says `{FREE}`")
    assert not way.is_known


def test_without_an_sdist_or_after_a_failure_nobody_advises_to_build_it():
    without = replace(LACKING, filename="", sha256="")
    failed = PastBuild(base="debian-12", failure=Failure.model_validate(FAILURE["failure"]))
    for ways in (find_ways(without), find_ways(LACKING, past_builds={"cp314t": failed})):
        assert [way.text for way in ways] == [
            "try another release, with `version`; or leave cp314t out, with `skip`"
        ]

    judgement = judge(
        build(cp314t={"failure": LACK}), source=LACKING, past_builds={"cp314t": failed}
    )
    assert judgement.reason == (
        "no upstream wheel: foo 1.0: none; its build failed on debian-12 before"
        " (missing header, library or program: a header is missing: x.h)"
    )


def test_a_build_that_made_a_wheel_before_is_a_way_that_is_known_and_so_is_another_release():
    made = {"cp314t": PastBuild(base="debian-12")}
    source = replace(LACKING, offers=(("cp314", "1.0"), ("cp314t", "1.2")))
    ways = find_ways(source, past_builds=made)
    assert [(way.text, way.is_known) for way in ways] == [
        ('`version = "==1.2"` in [packages.foo]: upstream has a wheel of it for cp314t', True),
        (
            '`from = "either"` in [packages.foo] builds it: its sdist was built for cp314t on debian-12 before',
            True,
        ),
    ]


def test_a_build_without_native_code_can_be_replaced_by_upstreams_wheel_where_there_is_one():
    pure = {"code": "WF206", "stage": "build", "error": "it is pure", "remedy": "see the log"}
    source = replace(SOURCE, offers=(("cp314t", SOURCE.version),))
    judgement = judge(build(cp314={"failure": pure}, cp314t={"failure": pure}), source=source)
    (finding,) = [one for one in judgement.findings if one.code == "WF206"]
    assert finding.remedy == (
        'see the log; or `from = "wheel"` in [packages.foo] takes the wheel that upstream has of this release'
    )
    assert [way.is_known for way in finding.ways_out] == [True, False]

    other = judge(build(cp314={"failure": pure}), source=source, abi="cp314")
    assert other.findings[0].remedy == "see the log"


def test_where_the_build_fails_and_upstream_has_none_either_both_are_said():
    source = replace(SOURCE, take_from="either", lacking=(("cp314t", "it has no wheel at all"),))
    judgement = judge(build(cp314t=FAILURE), source=source)
    assert judgement.reason.endswith(
        "a header is missing: x.h; upstream's wheel cannot stand in: it has no wheel at all"
    )


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("a.c:1: error: no", "no voice: it does not compile with ThreadSanitizer: a.c:1: error"),
        ("there is no sdist to compile", "no voice: there is no sdist to compile"),
    ],
)
def test_without_the_race_detector_nothing_is_proven_and_nothing_is_spoilt(
    failure: str, words: str
):
    silent = race(failure=failure, preflight=None, under=0, played=0)
    judgement = judge(build(cp314t=taken("cp314t")), race=silent, exercise=exercise())
    assert judgement.verdict is Verdict.UNPROVEN
    assert codes(judgement) == ["WF610"]
    assert words in judgement.findings[0].detail
    assert "threads called it in 9 scenarios, none of them under the race" in judgement.reason


def test_a_wheel_that_stands_for_a_failed_build_is_no_rebuild_that_differs():
    stands = taken("cp314", stands_for=FAILURE["failure"])
    built = build(cp314=stands)
    rebuilt = {**built.facts, "rebuilt": {wheel("cp314"): ["foo/_x.so"]}}
    assert codes(judge(replace(built, facts=rebuilt), abi="cp314")) == ["WF221"]


NATIVE_AND_PURE = replace(SOURCE, pure_wheel="foo-1.0-py3-none-any.whl")


def test_of_a_release_whose_native_wheel_is_at_fault_the_one_without_native_code_is_named():
    failed = module("foo", error="ValueError: no")
    judgement = judge(build(), source=NATIVE_AND_PURE, loaded=load(failed))
    assert judgement.verdict is Verdict.IMPORT_FAILURE
    (finding,) = [finding for finding in judgement.findings if finding.code == "WF227"]
    assert (finding.package, finding.abi, finding.verdict) == ("foo", "cp314t", None)
    assert '`pure = ["cp314t"]` in [packages.foo]' in finding.remedy

    assert "WF227" not in codes(judge(build(), loaded=load(failed)))
    assert "WF227" not in codes(judge(build(), source=NATIVE_AND_PURE))


def test_an_abi_without_the_wheel_that_pure_asks_for_is_to_be_left_out_of_it():
    built = build(cp314t={"failure": LACK})
    judgement = judge(built, source=SOURCE, pure=("cp314t",))
    assert judgement.verdict is Verdict.BUILD_FAILURE
    assert judgement.findings[0].remedy.startswith("leave cp314t out of `pure` in [packages.foo]")


def test_what_a_build_did_is_said_of_the_wheels_that_it_made():
    pure = {"wheel": "foo-1.0-py3-none-any.whl", "requires_python": "", "origin": "upstream"}
    built = build(cp314t=pure)
    facts = {**built.facts, "cpu_options": ["-march=native"]}
    assert "WF219" in codes(judge(replace(built, facts=facts), abi="cp314"))
    assert "WF219" not in codes(judge(replace(built, facts=facts)))


def test_a_wheel_without_native_code_is_compatible_and_said_to_be_slower():
    name = "foo-1.0-py3-none-any.whl"
    built = build(cp314t={"wheel": name, "requires_python": "", "origin": "upstream"})
    loaded = load(module("foo", native=False))
    loaded.facts["loads"]["cp314t"]["wheel"] = name
    pure: dict[str, Any] = {
        "objects": {}, "extensions": {}, "wheel": {"wheel-version": ["1.0"], "tag": ["py3-none-any"]},
    }  # fmt: skip
    audited = audit()
    wheels: dict[str, Any] = audited.facts["wheels"]
    wheels[name] = {**wheels[wheel("cp314t")], **pure}
    judgement = judge(built, audited=audited, loaded=loaded, race=race(wheel=None))
    assert judgement.verdict is Verdict.COMPATIBLE
    assert judgement.reason.startswith("upstream's wheel for any platform, imports on")
    assert codes(judgement) == ["WF224"]


# --- built, and upstream's beside it ----------------------------------------------------------------------------------

OLDER = "foo-1.0-cp314-cp314t-manylinux_2_5_x86_64.manylinux1_x86_64.whl"
SOURCES = {
    name: replace(
        SOURCE,
        take_from="either",
        wheels=(UpstreamWheel(abi="cp314t", filename=name, sha256="2" * 64),),
    )
    for name in (wheel("cp314t"), OLDER)
}


def compare(ours: dict[str, Any], theirs: dict[str, Any], name: str = wheel("cp314t")) -> Judgement:
    """Judge a wheel that was built beside upstream's; both have one name, unless upstream's has another."""
    facts = {
        "wheels": {
            wheel("cp314"): AUDITED,
            wheel("cp314t"): {**AUDITED, **ours},
        },
        "upstream": {name: {**AUDITED, **theirs}},
    }
    audited = Evidence(key="a", job=job_id("audit:foo@debian-12"), facts=facts)
    return judge(build(), source=SOURCES[name], audited=audited)


def details(judgement: Judgement, code: str) -> list[str]:
    return [finding.detail for finding in judgement.findings if finding.code == code]


def test_what_is_alike_is_no_finding():
    alike = compare({"size": 25_000}, {"size": 30_000})
    assert not {"WF222", "WF223"} & set(codes(alike))


def test_a_build_that_lost_its_native_part_is_told():
    more = {**AUDITED["extensions"], "foo/sub/_fast.cpython-314t-x86_64-linux-gnu.so": ""}
    (detail,) = details(compare({}, {"extensions": more}), "WF222")
    assert "the native modules foo.sub._fast; ours has not" in detail
    assert (
        details(compare({"extensions": more}, {}), "WF222") == []
    )  # what only ours has is no lack


def test_a_library_that_ours_neither_brings_nor_needs_is_told():
    theirs = {
        "objects": {
            MODULE: OBJECT,
            "foo.libs/libavif-1a2b3c4d.so.16.3.0": LIBRARY,
            "foo.libs/libwebp-deadbeef.so.7": LIBRARY,
        }
    }
    grafted = {"objects": {MODULE: OBJECT, "foo.libs/libwebp-01234567.so.7.1": LIBRARY}}
    needed = {"objects": {MODULE: {**OBJECT, "needed": ["libwebp.so.7"], "outside": {}}}}
    for ours in (grafted, needed):
        (detail,) = details(compare(ours, theirs), "WF222")
        assert "the libraries avif; ours has not" in detail


def test_a_newer_floor_and_a_much_smaller_file_are_told():
    (detail,) = details(compare({"size": 100}, {"size": 200}, OLDER), "WF223")
    assert "ours is for manylinux_2_17 and newer, upstream's for manylinux_2_5 and newer" in detail
    assert "ours has 100 bytes, upstream's 200" in detail


@pytest.mark.parametrize(("ours", "theirs"), [(False, True), (True, False)])
def test_sizes_are_not_compared_where_one_alone_has_debug_information(*, ours: bool, theirs: bool):
    mine, other = (
        {"size": size, "objects": {MODULE: {**OBJECT, "debug": has_it}}}
        for size, has_it in ((100, ours), (200, theirs))
    )
    assert details(compare(mine, other), "WF223") == []


def test_nothing_is_compared_where_the_wheel_is_upstreams_or_malformed():
    more = {**AUDITED["extensions"], "foo/_fast.so": ""}
    malformed = compare({}, {"extensions": more, "faults": [["record", "RECORD", "it is missing"]]})
    assert details(malformed, "WF222") == []

    facts = {
        "wheels": {wheel("cp314"): AUDITED, wheel("cp314t"): AUDITED},
        "upstream": {wheel("cp314t"): {**AUDITED, "extensions": more}},
    }
    audited = Evidence(key="a", job=job_id("audit:foo@debian-12"), facts=facts)
    stands = build(cp314t=taken("cp314t", stands_for=FAILURE["failure"]))
    judgement = judge(stands, source=SOURCES[wheel("cp314t")], audited=audited)
    assert details(judgement, "WF222") == []
