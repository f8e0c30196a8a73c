"""Wheels of the stable ABIs, abi3 and abi3t, made by really compiling modules for CPython 3.15."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builder.config import catalog
from builder.evidence.audit import WheelFacts
from builder.inside.audit.audit import read_facts
from builder.judge import interfaces
from builder.judge.wheel import rules
from tests import planted_stable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.judge.findings import Finding
    from tests.planted_wheels import Planted

BASES = tuple(base for base in catalog.load().bases.values() if base.enabled)
FAULTS = tuple(fault for fault, *_ in planted_stable.FAULTS)


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    return planted_stable.compile_here(tmp_path_factory.mktemp("modules"))


def judge(one: Planted, folder: Path) -> tuple[Finding, ...]:
    path = one.write(folder)
    facts = WheelFacts.check(read_facts(path))
    return rules.judge_wheel(one.filename, facts, BASES, interfaces.load())


def find(fault: str, objects: Mapping[str, bytes]) -> Planted:
    return next(one for one in planted_stable.planted(objects) if one.fault == fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_gets_its_code_and_no_other(
    fault: str, objects: Mapping[str, bytes], tmp_path: Path
):
    one = find(fault, objects)
    found = judge(one, tmp_path)
    assert [finding.code for finding in found] == [one.code], found


def test_good_wheels_have_no_finding(objects: Mapping[str, bytes], tmp_path: Path):
    for one in planted_stable.good(objects):
        assert judge(one, tmp_path) == (), one.filename


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("abi3 file under abi3t", ("CPython 3.15t does not look for", "_native.abi3t.so would be")),
        ("machine in the suffix before 3.15", ("CPython 3.9 to 3.14 does not", "_native.abi3.so would be")),
        ("export hook alone before 3.15", ("CPython 3.14 calls PyInit__native",)),
        ("module definition alone under abi3t", ("by a PyModuleDef alone", "needs PyModExport__native")),
        ("counts references itself", ("_Py_Dealloc shows it", "layout of objects is unknown")),
        ("static module definition", ("the layout of its module definition shows it",)),
        ("newer than the tag of abi3t", ("Py_HashBuffer, in the stable ABI since 3.16", "promises 3.15")),
        ("says that it needs 3.16", ("for that of 3.16; the tag promises 3.15",)),
        ("abi3 file under both", ("CPython 3.15t does not look for",)),
        ("free-threaded build in both tags", ("has its `t` in the ABI tag alone",)),
        ("both stable ABIs before 3.15", ("to CPython 3.14t", "begins with 3.15")),
    ],
)  # fmt: skip
def test_a_finding_says_who_is_deceived_and_by_what(
    fault: str, parts: tuple[str, ...], objects: Mapping[str, bytes], tmp_path: Path
):
    (finding,) = judge(find(fault, objects), tmp_path)
    missing = [part for part in parts if part not in finding.detail]
    assert missing == [], finding.detail


def test_a_module_says_what_it_was_compiled_for(objects: Mapping[str, bytes], tmp_path: Path):
    (one,) = [one for one in planted_stable.good(objects) if "cp315-abi3t-" in one.filename][:1]
    (native,) = WheelFacts.check(read_facts(one.write(tmp_path))).native_objects.values()
    assert native.init is not None
    assert native.init.hooks == ("PyModExport",)
    assert (native.init.phases, native.init.slots) == ("multi", {"gil": 1})
    assert native.init.abi is not None
    assert native.init.abi.model_dump() == {
        "stable": True,
        "builds": ("gil", "free-threaded"),
        "version": "3.15",
    }


def test_requires_python_narrows_what_a_tag_promises(objects: Mapping[str, bytes], tmp_path: Path):
    one = find("machine in the suffix before 3.15", objects)
    facts = WheelFacts.check(read_facts(one.write(tmp_path)))
    narrowed = {**facts.metadata, "requires-python": (">=3.15",)}
    newer = facts.model_copy(update={"metadata": narrowed})
    assert rules.judge_wheel(one.filename, newer, BASES, interfaces.load()) == ()
