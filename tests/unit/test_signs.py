"""What compiled code shows, unloaded, of how it was made for threads."""

from typing import Any

import pytest

from builder.inside import signals
from builder.inside.elf import Elf
from builder.judge import threads
from tests.unit.test_elf import ELF

SILENT = {"locks": [], "types": False, "borrowed": [], "libc": [], "writable": 0}
WHEEL = "foo-1.0-cp314-cp314t-manylinux_2_28_x86_64.whl"


def wheel(gil: int | None = threads.NOT_USED, **shown: Any) -> dict[str, Any]:
    slots = {} if gil is None else {"gil": gil}
    one = {
        "kind": "extension",
        "init": {"function": True, "phases": "multi", "slots": slots},
        "threads": {**SILENT, **shown},
    }
    return {"objects": {"foo/_speed.cpython-314t-x86_64-linux-gnu.so": one}}


def test_what_an_object_imports_is_sorted_by_what_it_means():
    imported = [
        "PyType_FromModuleAndSpec",
        "PyCriticalSection_Begin",
        "PyDict_GetItem",
        "localtime",
        "localtime_r",
        "malloc",
    ]
    found = signals.of(imported, Elf(ELF))
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
        (wheel(borrowed=["PyDict_Next"], libc=["strtok"], writable=64), ("borrowed", "libc", "writable")),
        ({"objects": {"foo.so": {"damaged": "it ends early"}}}, ()),
    ],
)
def test_signs_steer_the_search(facts: dict[str, Any], signs: tuple[str, ...]):
    assert threads.signs({WHEEL: facts}, WHEEL) == signs


def test_without_a_wheel_there_are_no_signs():
    assert threads.signs({}, None) == ()


def test_what_changed_between_two_releases_is_told():
    old = wheel(gil=None, borrowed=["PyDict_GetItem"])
    new = wheel(locks=["PyMutex_Lock"])
    assert [*threads.changed(old, new)] == [
        "now takes locks by PyMutex_Lock",
        "no longer borrows references by PyDict_GetItem",
        "now foo._speed says that it needs no GIL",
    ]
    assert [*threads.changed(new, new)] == []
