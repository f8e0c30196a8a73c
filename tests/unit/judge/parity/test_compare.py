"""What differs between bases, and what that weighs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.config import catalog
from builder.evidence.application import ApplicationFacts
from builder.evidence.audit import WheelFacts
from builder.evidence.load import AbiLoad
from builder.judge import interfaces
from builder.judge.bases import BaseOutcome
from builder.judge.parity.compare import compare_bases
from builder.judge.parity.model import (
    NOT_RECORDED,
    NOTHING,
    Parity,
    Row,
    Topic,
    Weight,
    describe_installation,
    merge_abis,
)
from builder.judge.parity.subject import (
    BaseFinding,
    ComparedPackage,
    Comparison,
    SystemPackages,
    Trial,
    is_about_bases,
)
from builder.judge.parity.system import find_missing_libraries, find_owner
from builder.judge.parity.wheels import choose_wheel, rank_tags
from builder.verdicts import ApplicationVerdict, Severity
from tests.unit.facts import AUDITED, LOADED, MODULE, OBJECT

TABLE = catalog.load()
DEBIAN, UBUNTU = TABLE.bases["debian-12"], TABLE.bases["ubuntu-24.04"]
BASES = (DEBIAN, UBUNTU)
CP314, CP314T = TABLE.abis["cp314"], TABLE.abis["cp314t"]
WHEEL = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
NEWER = "foo-1.0-cp314-cp314t-manylinux_2_39_x86_64.whl"
SYSTEM = {base.name: SystemPackages(needed={}) for base in BASES}


def audit(versions: Mapping[str, str] | None = None, **changes: Any) -> WheelFacts:
    """Return facts of a wheel with one extension module that needs the versions of some libraries."""
    needs = versions or {"libc.so.6": "GLIBC_2.14"}
    native = {
        **OBJECT,
        "versions": {library: {version: "f"} for library, version in needs.items()},
        "outside": dict.fromkeys(needs, MODULE),
    }
    return WheelFacts.check({**AUDITED, "objects": {MODULE: native}, **changes})


def package(
    wheels: tuple[str, str] = (WHEEL, WHEEL),
    audits: Mapping[str, WheelFacts] | None = None,
    outcomes: tuple[BaseOutcome, BaseOutcome] = (BaseOutcome.IMPORTS, BaseOutcome.IMPORTS),
    **changes: Any,
) -> ComparedPackage:
    names = [base.name for base in BASES]
    return ComparedPackage(
        name="foo",
        version="1.0",
        abi=CP314T,
        wheels=dict(zip(names, wheels, strict=True)),
        audits={WHEEL: audit()} if audits is None else audits,
        outcomes=dict(zip(names, outcomes, strict=True)),
        **changes,
    )


def compare(*packages: ComparedPackage, **changes: Any) -> Parity:
    fields: dict[str, Any] = {"application": "shop", "system": SYSTEM, **changes}
    return compare_bases(
        Comparison(
            bases=BASES,
            abis=(CP314T,),
            packages=packages,
            interfaces=interfaces.load(),
            **fields,
        )
    )


def rows(parity: Parity, topic: Topic) -> list[Row]:
    return [row for row in parity.rows if row.topic is topic]


def test_bases_on_which_all_is_the_same_have_no_difference_that_matters():
    parity = compare(package())
    assert parity.differences == ()
    (wheel,) = rows(parity, Topic.WHEEL)
    assert (wheel.weight, set(wheel.values.values())) == (Weight.SAME, {WHEEL})


def test_what_weighs_most_comes_first():
    parity = compare(package(outcomes=(BaseOutcome.IMPORTS, BaseOutcome.FAILS)))
    ranks = [row.weight.rank for row in parity.rows]
    assert ranks == sorted(ranks)
    assert parity.rows[0].topic is Topic.IMPORT
    assert parity.differences == ("foo on cp314t: imports on debian-12; fails on ubuntu-24.04",)


@pytest.mark.parametrize(
    ("outcomes", "weight"),
    [
        ((BaseOutcome.IMPORTS, BaseOutcome.NOT_CLAIMED), Weight.BREAKS),
        ((BaseOutcome.NO_WHEEL, BaseOutcome.NO_WHEEL), Weight.SAME),
        ((BaseOutcome.IMPORTS, BaseOutcome.UNDETERMINED), Weight.UNDETERMINED),
        ((BaseOutcome.FAILS, BaseOutcome.NO_WHEEL), Weight.DIFFERS),
    ],
    ids=["not-claimed", "nowhere", "undetermined", "two-ways-to-fail"],
)
def test_an_import_weighs_by_what_runs_where(
    outcomes: tuple[BaseOutcome, BaseOutcome], weight: Weight
):
    (row,) = rows(compare(package(outcomes=outcomes)), Topic.IMPORT)
    assert row.weight is weight


# --- wheels -----------------------------------------------------------------------------------------------------------


def test_an_installer_takes_the_newest_platform_that_fits_then_the_highest_build():
    ranks = [rank_tags(CP314T, base) for base in BASES]
    assert [choose_wheel([WHEEL, NEWER], of_base) for of_base in ranks] == [WHEEL, NEWER]
    rebuilt = WHEEL.replace("1.0-", "1.0-2-")
    assert choose_wheel([rebuilt, WHEEL], ranks[0]) == rebuilt
    assert choose_wheel([WHEEL.replace("cp314t", "cp314")], ranks[0]) == ""


def test_another_file_on_a_base_is_a_difference_and_none_at_all_breaks():
    parity = compare(package(wheels=(WHEEL, NEWER)))
    assert parity.differences == ("another file is installed on some bases of foo 1.0",)

    parity = compare(package(wheels=("", NEWER)))
    (row,) = rows(parity, Topic.WHEEL)
    assert (row.weight, row.values["debian-12"]) == (Weight.BREAKS, "no wheel is served")


def test_grafted_libraries_are_told_without_the_hashes_of_the_tool():
    audits = {WHEEL: audit(grafted=["foo.libs/libxml2-1a2b3c4d.so.2.9.14"]), NEWER: audit()}
    (row,) = rows(compare(package(wheels=(WHEEL, NEWER), audits=audits)), Topic.GRAFTED)
    assert row.values == {"debian-12": "libxml2.so.2.9.14", "ubuntu-24.04": NOTHING}
    assert row.weight is Weight.DIFFERS


def test_a_wheel_that_needs_newer_symbols_than_a_base_has_breaks_there():
    needs = {"libc.so.6": "GLIBC_2.38", "libstdc++.so.6": "GLIBCXX_3.4.21"}
    (row,) = rows(compare(package(audits={WHEEL: audit(needs)})), Topic.FLOOR)
    assert row.weight is Weight.BREAKS
    assert "needs GLIBC_2.38, lacks it: has 2.36" in row.values["debian-12"]
    assert "needs GLIBC_2.38, has 2.39" in row.values["ubuntu-24.04"]
    assert row.detail == "f@GLIBCXX_3.4.21, f@GLIBC_2.38"


def test_what_nobody_audited_is_not_recorded():
    parity = compare(package(audits={}))
    for topic in (Topic.FLOOR, Topic.GRAFTED):
        (row,) = rows(parity, topic)
        assert (row.weight, set(row.values.values())) == (Weight.NOT_RECORDED, {NOT_RECORDED})
    assert any("what is in the wheels of foo" in sentence for sentence in parity.not_recorded)


# --- the system -------------------------------------------------------------------------------------------------------


def system(*names: str, installed: Mapping[str, str] | None = None) -> SystemPackages:
    return SystemPackages(needed=dict.fromkeys(names, ("the interpreter",)), installed=installed)


def test_system_packages_of_other_names_are_to_be_installed():
    parity = compare(
        package(),
        system={
            "debian-12": system("libffi8", "libssl3"),
            "ubuntu-24.04": system("libffi8", "libssl3t64"),
        },
    )
    assert parity.differences == (
        "on debian-12 install libssl3, on ubuntu-24.04 libssl3t64; on each of them libffi8 as well",
    )
    assert parity.install["ubuntu-24.04"] == ("libffi8", "libssl3t64")
    (row,) = [row for row in rows(parity, Topic.SYSTEM_PACKAGE) if row.name == "libffi8"]
    assert row.weight is Weight.SAME


def test_a_system_package_of_two_versions_differs_and_is_no_work():
    parity = compare(
        package(),
        system={
            "debian-12": system("libffi8", installed={"libffi8": "3.4.4-1"}),
            "ubuntu-24.04": system("libffi8", installed={"libffi8": "3.4.6-1build1"}),
        },
    )
    assert parity.differences == ()
    (row,) = rows(parity, Topic.SYSTEM_PACKAGE)
    assert row.values == {"debian-12": "3.4.4-1", "ubuntu-24.04": "3.4.6-1build1"}
    assert row.weight is Weight.DIFFERS


def test_where_one_base_needs_nothing_it_says_so():
    install = {"debian-12": ("libffi8",), "ubuntu-24.04": ()}
    assert (
        describe_installation(install)
        == "on debian-12 install libffi8, on ubuntu-24.04 nothing else"
    )


def test_packages_for_builds_are_compared_where_something_is_built():
    builders = SystemPackages(needed={}, for_builds={"libxml2-dev": ("lxml",)})
    parity = compare(package(), system={"debian-12": builders, "ubuntu-24.04": system()})
    (row,) = rows(parity, Topic.BUILD_PACKAGE)
    assert (row.values, row.detail) == ({"debian-12": "needed"}, "to build lxml")
    assert parity.install["debian-12"] == ()


@pytest.mark.parametrize(
    ("soname", "installed", "owner"),
    [
        ("libssl.so.3", "libssl3", "libssl3"),
        ("libssl.so.3", "libssl3t64", "libssl3t64"),
        ("libz.so.1", "zlib1g", "zlib1g"),
        ("libsqlite3.so.0", "libsqlite3-0", "libsqlite3-0"),
        ("libstdc++.so.6", "libstdc++6", "libstdc++6"),
        ("libgcc_s.so.1", "libgcc-s1", "libgcc-s1"),
        ("libssl.so.3", "libssl1.1", ""),
        ("no-library", "libssl3", ""),
    ],
)
def test_the_package_of_a_library_is_called_after_its_soname(
    soname: str, installed: str, owner: str
):
    assert find_owner(soname, {installed: "1"}) == owner


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_an_owner_is_always_a_package_that_is_installed(soname: str, installed: dict[str, str]):
    owner = find_owner(soname, installed)
    assert owner == "" or owner in installed


def test_versions_of_libraries_are_those_of_their_packages_or_what_their_symbols_tell():
    needs = {"libc.so.6": "GLIBC_2.14", "libm.so.6": "GLIBC_2.29", "libstdc++.so.6": "GLIBCXX_3.4"}
    parity = compare(
        package(audits={WHEEL: audit(needs)}),
        system={
            "debian-12": system(installed={"libc6": "2.36-9", "libstdc++6": "12.2.0-14"}),
            "ubuntu-24.04": system(),
        },
    )
    glibc, libstdcxx = rows(parity, Topic.LIBRARY)
    assert glibc.values == {"debian-12": "libc6 2.36-9", "ubuntu-24.04": "glibc 2.39"}
    assert libstdcxx.values["debian-12"] == "libstdc++6 12.2.0-14"
    assert libstdcxx.values["ubuntu-24.04"].startswith("there with GLIBCXX_3.4.")
    assert any(
        "versions of system packages on ubuntu-24.04" in text for text in parity.not_recorded
    )


@pytest.mark.parametrize(
    ("outcome", "weight"),
    [(BaseOutcome.FAILS, Weight.BREAKS), (BaseOutcome.IMPORTS, Weight.DIFFERS)],
)
def test_a_library_that_a_base_lacks_breaks_where_its_user_does_not_import(
    outcome: BaseOutcome, weight: Weight
):
    shipped = interfaces.load().bases
    only = min(shipped["debian-12"].libraries - shipped["ubuntu-24.04"].libraries)
    audits = {WHEEL: audit({only: "V_1"})}
    parity = compare(package(audits=audits, outcomes=(BaseOutcome.IMPORTS, outcome)))
    (row,) = rows(parity, Topic.LIBRARY)
    assert (row.values["ubuntu-24.04"], row.weight) == ("not in the base image", weight)


def test_a_library_that_a_load_asked_for_in_vain_is_a_library_that_is_needed():
    error = "ImportError: libodbc.so.2: cannot open shared object file: No such file or directory"
    assert find_missing_libraries(error) == ["libodbc.so.2"]
    module = {"module": "foo", "native": True, "error": error}
    load = AbiLoad.model_validate(
        {"wheel": WHEEL, "claimed": True, "missing": [], **LOADED, "modules": [module]}
    )
    parity = compare(package(audits={}, loads={"debian-12": load}))
    (row,) = rows(parity, Topic.LIBRARY)
    assert (row.name, row.detail) == ("libodbc.so.2", "for foo")


# --- what ran ---------------------------------------------------------------------------------------------------------


def test_the_interpreter_is_the_one_that_loaded_wheels():
    load = AbiLoad.model_validate({"wheel": WHEEL, "claimed": True, "missing": [], **LOADED})
    parity = compare(package(loads={"debian-12": load}))
    (row,) = rows(parity, Topic.INTERPRETER)
    assert row.values == {
        "debian-12": "3.14.0 (--disable-gil)",
        "ubuntu-24.04": NOT_RECORDED,
    }


def finding(severity: Severity) -> BaseFinding:
    return BaseFinding(
        title="WF316 missing library",
        severity=severity,
        bases=("debian-12",),
        remedy="Install it.",
    )


def test_a_finding_of_one_base_is_told_with_its_remedy():
    parity = compare(package(findings=(finding(Severity.ERROR),)))
    assert parity.differences == (
        "foo: WF316 missing library on cp314t: on debian-12 alone; what to do: Install it.",
    )
    parity = compare(package(findings=(finding(Severity.WARNING),)))
    assert parity.differences == ()


@pytest.mark.parametrize("code", ["WF402", "WF501", "WF316"])
def test_findings_of_loads_and_of_what_a_base_lacks_are_about_bases(code: str):
    assert is_about_bases(code)


@pytest.mark.parametrize("code", ["WF201", "WF319", "WF601"])
def test_findings_of_builds_and_threads_are_not(code: str):
    assert not is_about_bases(code)


def trial(verdict: ApplicationVerdict, exit_code: int | None = 0, **changes: Any) -> Trial:
    facts: dict[str, Any] = {
        "install": None,
        "imports": {"modules": 1, "failed": [], "gil": False},
        "smoke": [{"command": "shop", "exit_code": exit_code, "seconds": 0.1, "output": ""}],
        **changes,
    }
    return Trial(verdict=verdict, facts=ApplicationFacts.check(facts))


def test_a_command_that_fails_on_one_base_is_what_runs_on_the_other_alone():
    trials = {
        ("cp314t", "debian-12"): trial(ApplicationVerdict.READY),
        ("cp314t", "ubuntu-24.04"): trial(ApplicationVerdict.BLOCKED, 1),
    }
    parity = compare(package(), trials=trials)
    assert parity.differences == (
        "shop on cp314t: ready on debian-12; blocked on ubuntu-24.04",
        "shop: `shop` on cp314t: ends with exit code 0 on debian-12; ends with exit code 1 on ubuntu-24.04",
    )


def test_a_base_that_could_not_be_tried_is_undetermined_and_its_steps_are_not_recorded():
    trials = {
        ("cp314t", "debian-12"): trial(ApplicationVerdict.READY),
        ("cp314t", "ubuntu-24.04"): Trial(verdict=ApplicationVerdict.UNDETERMINED),
    }
    parity = compare(package(), trials=trials)
    assert parity.rows[0].weight is Weight.UNDETERMINED
    (command,) = [row for row in parity.rows if row.name == "shop: `shop`"]
    assert command.values["ubuntu-24.04"] == NOT_RECORDED
    assert command.weight is Weight.NOT_RECORDED


def test_modules_that_one_base_cannot_import_are_named():
    failed = {"module": "foo.x", "distribution": "foo", "error": "ImportError: no"}
    broken = trial(
        ApplicationVerdict.BLOCKED, imports={"modules": 1, "failed": [failed], "gil": False}
    )
    trials = {
        ("cp314t", "debian-12"): trial(ApplicationVerdict.READY),
        ("cp314t", "ubuntu-24.04"): broken,
    }
    sentences = compare(package(), trials=trials).differences
    assert any("foo.x (ImportError: no) on ubuntu-24.04" in sentence for sentence in sentences)


def test_rows_that_differ_in_their_abi_alone_are_one():
    row = Row(topic=Topic.WHEEL, name="foo", values={"a": "x"}, weight=Weight.SAME, abis=("cp314",))
    other = Row(
        topic=Topic.WHEEL, name="foo", values={"a": "x"}, weight=Weight.SAME, abis=("cp314t",)
    )
    (merged,) = merge_abis([row, other])
    assert merged.abis == ("cp314", "cp314t")
