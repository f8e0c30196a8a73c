"""What blocks an application, what has to be known of it, and the ways out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.config import catalog
from builder.evidence.application import ApplicationFacts, CommandRun, FailedImport, Imports
from builder.judge.application import (
    JudgedApplication,
    LockedPackage,
    Outlook,
    Situation,
    judge_application,
    judge_unusable,
    name_other_abi,
)
from builder.judge.findings import Finding
from builder.judge.package import JudgedPackage, Judgement, Wheel
from builder.judge.ways_out import WayOut
from builder.sources import Source
from builder.verdicts import ApplicationVerdict, Verdict
from tests.unit.judge.test_application_threads import command, event

ABIS = catalog.load().abis
BASE = catalog.load().bases["debian-12"]
WELL = ApplicationFacts(install=None, imports=Imports(modules=2, failed=()))


def package(
    name: str,
    version: str = "1.0",
    verdict: Verdict = Verdict.COMPATIBLE,
    *findings: Finding,
    wheels: tuple[Wheel, ...] = (),
) -> JudgedPackage:
    """Return a package with the same verdict on both ABIs."""
    source = Source(
        name=name, version=version, kind="index", filename=f"{name}.tar.gz", sha256="0" * 64
    )
    judgements = {
        abi: Judgement(abi=abi, verdict=verdict, reason="seen so", findings=findings, wheels=wheels)
        for abi in ABIS
    }
    return JudgedPackage(name=name, version=version, source=source, abis=judgements)


def served(name: str, platform: str = "manylinux_2_17_x86_64") -> list[str]:
    return [f"{name}-1.0-cp314-{abi}-{platform}.whl" for abi in ABIS]


def situation(
    *packages: JudgedPackage,
    abi: str = "cp314t",
    served_files: dict[str, list[str]] | None = None,
    locked: tuple[str, ...] = ("foo", "bar"),
    outlooks: dict[str, Outlook] | None = None,
) -> Situation:
    files = {name: served(name) for name in locked} if served_files is None else served_files
    return Situation(
        name="shop",
        lock="uv.lock",
        to_add="uv.lock",
        abi=ABIS[abi],
        base=BASE,
        locked=[LockedPackage(name=name, version="1.0") for name in locked],
        packages={item.name: item for item in packages},
        served=files,
        outlooks=outlooks or {},
    )


BOTH = (package("foo"), package("bar"))


def test_what_installs_and_runs_is_ready():
    judged = judge_application(situation(*BOTH), WELL, "logs/x")
    assert judged.verdict is ApplicationVerdict.READY
    assert judged.reason == "all 2 packages of its lock install from the index alone, and it runs"
    assert (judged.way_out, judged.log) == ("", "logs/x")


def test_what_was_not_tried_is_undetermined():
    judged = judge_application(situation(*BOTH), None)
    assert judged.verdict is ApplicationVerdict.UNDETERMINED


def test_what_was_not_tried_is_not_said_to_run():
    with_risk = situation(package("foo"), package("bar", "1.0", Verdict.UNPROVEN))
    assert judge_application(with_risk, None).reason == "it could not be tried"


def test_a_release_is_the_same_however_it_is_written():
    assert (
        judge_application(situation(package("foo", "1.0.0"), package("bar")), WELL).blockers == ()
    )


def test_a_package_that_is_not_in_the_matrix_blocks_and_can_be_added():
    judged = judge_application(situation(package("foo")), WELL)
    assert judged.verdict is ApplicationVerdict.BLOCKED
    assert "bar 1.0 is in uv.lock and not in the matrix" in judged.reason
    assert judged.way_out == "`wheelfarm add --all uv.lock` takes what is missing"


def test_another_release_than_the_locked_one_blocks():
    judged = judge_application(situation(package("foo"), package("bar", "2.0")), WELL)
    assert [blocker.what for blocker in judged.blockers] == ["uv.lock has bar 1.0, the matrix 2.0"]
    assert "add --all --update uv.lock" in judged.way_out


def test_a_package_that_is_not_served_blocks_with_its_verdict_and_its_remedy():
    finding = Finding(code="WF202", detail="no space", remedy="give it `memory`")
    broken = package("bar", "1.0", Verdict.BUILD_FAILURE, finding)
    judged = judge_application(
        situation(package("foo"), broken, served_files={"foo": served("foo")}), None
    )
    (blocker,) = judged.blockers
    assert blocker.what == "bar 1.0 is build-failure on cp314t: seen so"
    assert blocker.ways_out == ("give it `memory`",)


def test_a_wheel_of_upstream_is_a_shorter_way_than_a_newer_release_and_that_than_a_remedy():
    finding = Finding(code="WF202", detail="no space", remedy="give it `memory`")
    broken = package("bar", "1.0", Verdict.BUILD_FAILURE, finding)
    outlook = Outlook(has_wheel=True, mending_release="1.2", newest_release="1.3")
    judged = judge_application(
        situation(
            package("foo"),
            broken,
            served_files={"foo": served("foo")},
            outlooks={"bar": outlook},
        ),
        None,
    )
    (blocker,) = judged.blockers
    assert blocker.ways_out == (
        '`from = "wheel"` in [packages.bar] takes the wheel that upstream has of this release',
        'lock bar 1.2: upstream has a wheel of it for cp314t, and take it with `from = "wheel"` in [packages.bar]',
        "give it `memory`",
    )


def test_an_older_release_that_upstream_has_a_wheel_of_is_a_way_out_too():
    broken = package("bar", "1.0", Verdict.BUILD_FAILURE)
    outlook = Outlook(older_release="0.9", newest_release="1.3")
    judged = judge_application(
        situation(
            package("foo"), broken, served_files={"foo": served("foo")}, outlooks={"bar": outlook}
        ),
        None,
    )
    assert judged.way_out.startswith("lock bar 0.9, which is older: upstream has a wheel of it")


def test_what_may_not_work_is_named_after_the_interpreter_on_which_it_is_known_to():
    tried = WayOut(text='try `from = "either"` in [packages.bar]')
    known = WayOut(text='`version = "==0.9"` in [packages.bar]', is_known=True)
    finding = Finding(code="WF220", detail="none", remedy="both", ways_out=(known, tried))
    broken = package("bar", "1.0", Verdict.BUILD_FAILURE, finding)
    files = {"foo": served("foo")}
    blocked = judge_application(situation(package("foo"), broken, served_files=files), None)
    well = judge_application(situation(*BOTH, abi="cp314"), WELL)
    _, named = name_other_abi([well, blocked], ABIS.values())
    assert named.blockers[0].ways_out == (
        '`version = "==0.9"` in [packages.bar]',
        "run shop on cp314 for now: it is ready there",
        'try `from = "either"` in [packages.bar]',
    )
    assert named.way_out == '`version = "==0.9"` in [packages.bar]'


def test_a_wheel_without_native_code_is_a_way_out_to_be_tried():
    pure = Finding(code="WF227", detail="there is one", where="x", remedy="try `pure`")
    racy = package("bar", "1.0", Verdict.RACY, pure)
    asked = situation(package("foo"), racy, served_files={"foo": served("foo")})
    (blocker,) = judge_application(asked, None).blockers
    assert WayOut(text="try `pure`") in blocker.ways


def test_of_a_racy_package_a_newer_release_is_to_be_judged():
    made = Wheel(
        filename=served("bar")[0], base="debian-12", sha256="1" * 64, floor="", requires_python="", log=""
    )  # fmt: skip
    racy = package("bar", "1.0", Verdict.RACY, wheels=(made,))
    judged = judge_application(
        situation(
            package("foo"),
            racy,
            served_files={"foo": served("foo")},
            outlooks={"bar": Outlook(has_wheel=True, newest_release="1.3")},
        ),
        None,
    )
    assert judged.blockers[0].ways_out == (
        "try bar 1.3, which is newer: lock it, and have the farm judge it",
    )


def test_wheels_that_need_a_newer_glibc_than_the_base_has_block_on_it():
    files = {"foo": served("foo"), "bar": served("bar", "manylinux_2_39_x86_64")}
    judged = judge_application(situation(*BOTH, served_files=files), None)
    assert judged.blockers[0].what == (
        "the wheels of bar need manylinux_2_39; debian-12 has glibc 2.36"
    )


def test_a_served_package_that_is_unproven_is_a_risk():
    judged = judge_application(
        situation(package("foo"), package("bar", "1.0", Verdict.UNPROVEN)), WELL
    )
    assert judged.verdict is ApplicationVerdict.READY_WITH_RISKS
    assert judged.reason == "installs and runs; to be known of bar: unproven: seen so"


def test_a_package_whose_objects_are_not_to_be_shared_is_a_risk_that_says_so():
    bar = package("bar", "1.0", Verdict.DISTINCT)
    said = replace(bar.abis["cp314t"], reason="if threads share an object of bar.Box, it crashes")
    told = replace(bar, abis={**bar.abis, "cp314t": said})
    judged = judge_application(situation(package("foo"), told), WELL)
    assert judged.verdict is ApplicationVerdict.READY_WITH_RISKS
    assert judged.reason == (
        "installs and runs; to be known of bar: distinct: if threads share an object of bar.Box, it crashes"
    )


def test_a_package_that_is_held_back_blocks_with_what_it_lacks():
    foo = package("foo")
    held = replace(foo.abis["cp314t"], held="it needs baz, which is in quarantine on cp314t (racy)")
    lacking = replace(foo, abis={**foo.abis, "cp314t": held})
    judged = judge_application(
        situation(lacking, package("bar"), served_files={"bar": served("bar")}), None
    )
    assert judged.blockers[0].what == (
        "foo 1.0 is held back on cp314t: it needs baz, which is in quarantine on cp314t (racy)"
    )


def test_the_gravest_of_what_has_to_be_known_comes_first():
    served = package("foo", "1.0", Verdict.UNPROVEN), package("bar", "1.0", Verdict.GIL_REQUIRED)
    judged = judge_application(situation(*served), WELL)
    assert [risk.package for risk in judged.risks] == ["bar", "foo"]
    assert judged.reason == (
        "installs and runs; to be known of bar: gil-required: seen so; also to be known of foo"
    )


def test_a_gil_that_is_on_in_the_end_is_a_risk_on_a_free_threaded_interpreter_alone():
    imports = Imports(modules=2, failed=(), gil=True, enabled_by="bar._native")
    facts = ApplicationFacts(install=None, imports=imports)
    judged = judge_application(situation(*BOTH), facts)
    assert judged.verdict is ApplicationVerdict.READY_WITH_RISKS
    assert [risk.package for risk in judged.risks] == ["bar"]
    assert judge_application(situation(*BOTH, abi="cp314"), facts).risks == ()


def test_a_gil_that_a_package_hides_counts_as_on():
    imports = Imports(modules=2, failed=(), gil=False, gil_seen="on")
    judged = judge_application(situation(*BOTH), ApplicationFacts(install=None, imports=imports))
    assert "turns the GIL on for the whole process" in judged.risks[0].what


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (ApplicationFacts(install="no matching distribution"), "its lock cannot be installed"),
        (
            ApplicationFacts(install=None, imports=Imports(modules=1, failed=(), signal="SIGSEGV", during="foo")),
            "importing all of it in one process ended it: SIGSEGV (importing foo)",
        ),
        (
            ApplicationFacts(
                install=None,
                imports=Imports(
                    modules=1,
                    failed=(FailedImport(module="foo", distribution="foo", error="ImportError: no symbol"),),
                ),
            ),
            "foo cannot be imported: ImportError: no symbol",
        ),
        (
            ApplicationFacts(
                install=None, smoke=(CommandRun(command="false", exit_code=1, seconds=0.1, output="a\nlast line\n"),)
            ),
            "`false` ended with exit code 1: last line",
        ),
        (
            ApplicationFacts(install=None, smoke=(CommandRun(command="x", exit_code=-11, seconds=0.1, output=""),)),
            "`x` died of signal 11",
        ),
        (
            ApplicationFacts(install=None, tests=CommandRun(command="pytest", exit_code=None, seconds=900, output="")),
            "its tests fail: `pytest` did not end within 900 s",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_when_it_is_tried_blocks_it(facts: ApplicationFacts, words: str):
    judged = judge_application(situation(*BOTH), facts)
    assert judged.verdict is ApplicationVerdict.BLOCKED
    assert words in judged.reason


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [
        ("gone", ApplicationVerdict.READY_WITH_RISKS),
        ("gone.part", ApplicationVerdict.READY_WITH_RISKS),
        ("foo._core", ApplicationVerdict.BLOCKED),
        (None, ApplicationVerdict.BLOCKED),
    ],
)
def test_a_module_that_needs_what_the_lock_does_not_have_is_a_risk(
    missing: str | None, verdict: ApplicationVerdict
):
    failed = FailedImport(module="foo", distribution="Foo", error="ImportError", missing=missing)
    facts = ApplicationFacts(install=None, imports=Imports(modules=1, failed=(failed,)))
    judged = judge_application(situation(*BOTH), facts)
    assert judged.verdict is verdict
    assert [risk.package for risk in judged.risks] == ["foo"] * (
        verdict is not ApplicationVerdict.BLOCKED
    )
    assert {(blocker.package, blocker.version) for blocker in judged.blockers} <= {("foo", "1.0")}


def test_what_packages_lack_of_each_other_is_a_risk():
    facts = ApplicationFacts(install=None, unmet=("foo 1.0 requires baz, which is not installed.",))
    assert "requires baz" in judge_application(situation(*BOTH), facts).risks[0].what


def test_a_lock_that_cannot_be_read_blocks():
    judged = judge_unusable(situation(), "uv.lock: is not TOML")
    assert judged.reason == "blocked by the application itself: uv.lock: is not TOML"


def test_a_blocked_application_names_the_abi_on_which_it_is_not_blocked():
    blocked = judge_application(situation(package("foo"), abi="cp314t"), None)
    well = judge_application(situation(*BOTH, abi="cp314"), WELL)
    named: list[JudgedApplication] = name_other_abi([well, blocked], ABIS.values())
    assert named[0] == well
    assert named[1].blockers[0].ways_out[-1] == "run shop on cp314 for now: it is ready there"

    unknown = replace(well, verdict=ApplicationVerdict.UNDETERMINED)
    assert name_other_abi([unknown, blocked], ABIS.values()) == [unknown, blocked]

    elsewhere = replace(well, base="debian-13")
    assert name_other_abi([elsewhere, blocked], ABIS.values()) == [elsewhere, blocked]


def test_what_threads_break_in_its_commands_has_to_be_known():
    broken = ApplicationFacts(install=None, amplified=(command(event(distribution="foo")),))
    judged = judge_application(situation(*BOTH), broken)
    assert judged.verdict is ApplicationVerdict.READY_WITH_RISKS
    (risk,) = judged.risks
    assert (risk.package, risk.code) == ("foo", "WF701")
    assert risk.remedy
    assert judged.threads.endswith("what broke is listed")
    assert judged.reason.startswith("installs and runs; to be known of foo: `python -m shop` calls")

    sound = ApplicationFacts(install=None, amplified=(command(),))
    assert judge_application(situation(*BOTH), sound).verdict is ApplicationVerdict.READY
