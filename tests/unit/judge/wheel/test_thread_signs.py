"""What compiled code shows, unloaded, of how it was made for threads."""

from pathlib import Path
from typing import Any

import pytest

from builder.check.read import CheckedWheel, add_thread_changes
from builder.evidence.audit import WheelFacts
from builder.inside.audit import signals
from builder.inside.audit.elf import Elf
from builder.judge.wheel import thread_signs
from tests.unit.facts import native_object, wheel_facts
from tests.unit.inside.audit.test_elf import ELF

SILENT = {"locks": [], "types": False, "borrowed": [], "libc": [], "writable": 0}


def wheel(gil: int | None = thread_signs.GIL_NOT_USED, **shown: Any) -> WheelFacts:
    slots = {} if gil is None else {"gil": gil}
    module = native_object(
        init={"function": True, "phases": "multi", "slots": slots}, threads={**SILENT, **shown}
    )
    return wheel_facts(objects={"foo/_speed.cpython-314t-x86_64-linux-gnu.so": module})


def test_what_an_object_imports_is_sorted_by_what_it_means():
    imported = [
        "PyType_FromModuleAndSpec",
        "PyCriticalSection_Begin",
        "PyDict_GetItem",
        "localtime",
        "localtime_r",
        "malloc",
    ]
    found = signals.find_signs(imported, Elf(ELF))
    assert {name: found[name] for name in ("locks", "types", "borrowed", "libc")} == {
        "locks": ["PyCriticalSection_Begin"],
        "types": True,
        "borrowed": ["PyDict_GetItem"],
        "libc": ["localtime"],
    }


@pytest.mark.parametrize(
    ("facts", "signs"),
    [
        (wheel(), ()),
        (wheel(types=True), ("bare",)),
        (wheel(types=True, locks=["PyMutex_Lock"]), ()),
        (wheel(gil=0, types=True), ()),  # it keeps the GIL
        (wheel(gil=None, types=True), ()),
        (
            wheel(borrowed=["PyDict_Next"], libc=["strtok"], writable=64),
            ("borrowed", "libc", "writable"),
        ),
        (wheel_facts(objects={"foo.so": {"damaged": "it ends early"}}), ()),
    ],
)
def test_signs_steer_the_search(facts: WheelFacts, signs: tuple[str, ...]):
    assert thread_signs.list_signs(facts) == signs


def test_without_a_wheel_there_are_no_signs():
    assert thread_signs.list_signs(None) == ()


def test_what_changed_between_two_releases_is_told():
    old = wheel(gil=None, borrowed=["PyDict_GetItem"])
    new = wheel(locks=["PyMutex_Lock"])
    assert [*thread_signs.describe_changes(old, new)] == [
        "takes locks by PyMutex_Lock",
        "no longer borrows references by PyDict_GetItem",
        "says that it needs no GIL of foo._speed",
    ]
    assert [*thread_signs.describe_changes(new, new)] == []


def checked(version: str, facts: WheelFacts, abi: str = "cp314t") -> CheckedWheel:
    path = Path(f"foo-{version}-cp314-{abi}-manylinux_2_28_x86_64.whl")
    return CheckedWheel(
        path=path, facts=facts, findings=(), floors={}, abis=(abi,), bases=("debian-12",)
    )


def test_of_releases_that_are_checked_together_the_newer_is_told_what_changed():
    old, new = wheel(libc=["rand"]), wheel(locks=["PyMutex_Lock"])
    given = [
        checked("2.0", new),
        checked("1.9", wheel()),
        checked("1.10", old),
        checked("1.0", wheel(), abi="cp314"),
    ]
    told = {
        one.filename.split("-")[1]: [finding.detail for finding in one.findings]
        for one in add_thread_changes(given)
    }
    assert told == {
        "2.0": ["since 1.10 it takes locks by PyMutex_Lock; no longer calls rand"],
        "1.10": ["since 1.9 it calls rand"],
        "1.9": [],
        "1.0": [],
    }
