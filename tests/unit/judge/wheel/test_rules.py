"""Judging facts, and `wheelfarm check` on wheels that need no compiler."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from builder.check import read
from builder.cli.main import app
from builder.config import catalog
from builder.distributions import abi3audit
from builder.errors import ExitCode
from builder.evidence.audit import WheelFacts
from builder.judge import interfaces
from builder.judge.wheel import compare, rules
from builder.judge.wheel.subject import Subject
from builder.store.store import Store
from tests import planted
from tests.unit.facts import native_object, wheel_facts

BASES = tuple(base for base in catalog.load().bases.values() if base.enabled)
LIBRARY = next(
    path.read_bytes()
    for path in sorted(Path("/lib/x86_64-linux-gnu").glob("lib*.so.*"))
    if 8_000 < path.stat().st_size < 40_000
)


def facts(tag: str, *, size: int = 1000, objections: Any = (), **more: Any) -> WheelFacts:
    path = planted.SO_T if "cp314t" in tag else planted.SO
    suffix = planted.FREE if "cp314t" in tag else planted.GIL
    return wheel_facts(
        size=size, dist_info=planted.DIST_INFO, metadata={"name": ["planted"], "version": ["1.0"]}, top_level={"planted": "package"},
        wheel={"wheel-version": ["1.0"], "tag": [tag], "root-is-purelib": ["false"]},
        extensions={path: suffix}, objects={path: native_object(**more)}, abi3audit=objections,
    )  # fmt: skip


def codes(filename: str, found: WheelFacts) -> list[str]:
    return [
        finding.code for finding in rules.judge_wheel(filename, found, BASES, interfaces.load())
    ]


def test_a_good_wheel_has_no_finding():
    assert codes(planted.name_of(), facts(f"cp314-cp314-{planted.PLATFORM}")) == []


@pytest.mark.parametrize(
    ("filename", "abis"),
    [
        ("x-1-cp314-cp314-manylinux_2_17_x86_64.whl", ("cp314",)),
        ("x-1-cp314-cp314t-manylinux_2_17_x86_64.whl", ("cp314t",)),
        ("x-1-cp39-abi3-manylinux_2_17_x86_64.whl", ("cp314",)),
        ("x-1-cp315-abi3-manylinux_2_17_x86_64.whl", ()),
        ("x-1-py3-none-any.whl", ("cp314", "cp314t")),
        ("x-1-cp313-cp313-manylinux_2_17_x86_64.whl", ()),
        ("x-1-py2-none-any.whl", ()),
        ("x-1-cp315-abi3t-manylinux_2_17_x86_64.whl", ()),
    ],
)
def test_which_interpreters_take_a_wheel(filename: str, abis: tuple[str, ...]):
    assert Subject.from_filename(filename, wheel_facts(), BASES, interfaces.load()).abis == abis


def test_only_bases_with_the_c_library_are_claimed():
    subject = Subject.from_filename(
        "x-1-cp314-cp314-manylinux_2_39_x86_64.whl", wheel_facts(), BASES, interfaces.load()
    )
    assert [base.name for base in subject.bases] == ["debian-13", "ubuntu-24.04"]


def test_a_version_between_two_policies_has_the_c_library_of_its_name():
    tag = "cp314-cp314-manylinux_2_33_x86_64"
    versions = {"libc.so.6": {"GLIBC_2.33": "stat"}}
    assert codes(f"planted-1.0-{tag}.whl", facts(tag, versions=versions)) == []
    older = "cp314-cp314-manylinux_2_32_x86_64"
    assert codes(f"planted-1.0-{older}.whl", facts(older, versions=versions)) == ["WF302"]


def test_a_wheel_that_names_no_c_library_is_measured_by_the_bases():
    tag = "cp314-cp314-linux_x86_64"
    found = facts(tag, versions={"libc.so.6": {"GLIBC_2.38": "__isoc23_strtol"}})
    (finding,) = rules.judge_wheel(f"planted-1.0-{tag}.whl", found, BASES, interfaces.load())
    assert (finding.code, finding.bases) == ("WF302", ("debian-12",))
    assert "__isoc23_strtol@GLIBC_2.38" in finding.detail


def test_libraries_that_are_loaded_may_have_what_is_undefined():
    tag = f"cp314-cp314-{planted.PLATFORM}"
    undefined = {"_ZNSt6vectorIiE": planted.SO, "deflate": planted.SO}
    system = {"libstdc++.so.6": planted.SO, "libz.so.1": planted.SO}
    assert codes(planted.name_of(), facts(tag, undefined=undefined, outside=system)) == []
    assert codes(planted.name_of(), facts(tag, undefined=undefined)) == ["WF318"]


def test_private_c_api_is_what_no_documentation_offers():
    tag = f"cp314-cp314-{planted.PLATFORM}"
    documented = dict.fromkeys(("_PyBytes_Resize", "_PyObject_GetDictPtr", "_Py_c_sum"), planted.SO)
    assert codes(planted.name_of(), facts(tag, undefined=documented)) == []
    assert codes(
        planted.name_of(), facts(tag, undefined={**documented, "_PyType_Lookup": planted.SO})
    ) == ["WF319"]


def test_two_builds_are_compared():
    def subject(size: int, **more: Any) -> Subject:
        found = facts(f"cp314-cp314-{planted.PLATFORM}", size=size, **more)
        return Subject.from_filename(planted.name_of(), found, BASES, interfaces.load())

    old = subject(1000, versions={"libc.so.6": {"GLIBC_2.2.5": "memcpy"}})
    new = subject(
        1001, versions={"libc.so.6": {"GLIBC_2.14": "memcpy"}}, undefined={"PyLong_New": planted.SO}
    )
    assert list(compare.compare_wheels({"debian-12": old, "debian-13": old})) == []
    (finding,) = compare.compare_wheels({"debian-12": old, "debian-13": new})
    assert finding.code == "WF333"
    assert (
        "GLIBC_2.2.5 for memcpy on debian-12, GLIBC_2.14 for memcpy on debian-13" in finding.detail
    )
    assert "only the wheel of debian-13 needs the symbols PyLong_New" in finding.detail
    (large,) = compare.compare_wheels(
        {
            "debian-12": old,
            "debian-13": subject(2000, versions={"libc.so.6": {"GLIBC_2.2.5": "memcpy"}}),
        }
    )
    assert "1000 bytes on debian-12, 2000 on debian-13" in large.detail


# --- the command ------------------------------------------------------------------------------------------------------


def wheel(folder: Path, **edits: bytes) -> Path:
    content = planted.members(LIBRARY, "planted/libz.so.1", ("py3-none-manylinux_2_36_x86_64",))
    path = folder / "planted-1.0-py3-none-manylinux_2_36_x86_64.whl"
    path.write_bytes(
        planted.pack({**content, **{name.replace("__", "/"): data for name, data in edits.items()}})
    )
    return path


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["check", "--static", *map(str, arguments)])


def test_check_renders_and_ends_by_the_worst_severity(tmp_path: Path):
    good = run(wheel(tmp_path))
    assert (good.exit_code, "no errors" in good.output) == (ExitCode.ADMISSIBLE, True), good.output
    warned = run(wheel(tmp_path, tests__x=b""))
    assert (warned.exit_code, "WF330" in warned.output) == (ExitCode.WARNINGS, True)
    broken = tmp_path / "planted-2.0-py3-none-any.whl"
    broken.write_bytes(b"no")
    both = run(wheel(tmp_path), broken)
    assert (both.exit_code, "WF305" in both.output) == (ExitCode.FAULTS, True)


def test_check_as_json(tmp_path: Path):
    answer = json.loads(run(wheel(tmp_path), "--json").output)
    (one,) = answer["wheels"]
    assert (answer["schema_version"], one["findings"], one["abis"]) == (1, [], ["cp314", "cp314t"])
    assert one["floors"]["GLIBC"]["symbol"]


def test_components_are_read_from_sboms(tmp_path: Path):
    document = {
        "components": [
            {"name": "libz", "version": "1.3", "purl": "pkg:deb/debian/libz@1.3"},
            {"purl": "pkg:pypi/x"},
        ]
    }
    path = wheel(tmp_path, **{f"{planted.DIST_INFO}__sboms__a.json": json.dumps(document).encode()})
    facts = read.check_wheel(path).facts
    assert facts is not None
    assert facts.components == (("libz", "1.3", "pkg:deb/debian/libz@1.3"),)
    assert "libz 1.3" in run(path).output


@pytest.mark.parametrize(
    "document", [b"[]", b"{", b'{"components": [1]}', b'{"components": 1}', b"[" * 100_000]
)
def test_sboms_of_another_format_are_left_alone(tmp_path: Path, document: bytes):
    path = wheel(tmp_path, **{f"{planted.DIST_INFO}__sboms__a.json": document})
    facts = read.check_wheel(path).facts
    assert facts is not None
    assert facts.components == ()


def test_what_abi3audit_objects_to_is_told_where_the_own_rules_are_silent():
    objection = [
        ["WF320", "planted/x.abi3.so", "uses PyFoo, not in the stable ABI, says abi3audit"]
    ]
    found = facts(f"cp314-cp314-{planted.PLATFORM}", objections=objection)
    (finding,) = rules.judge_wheel(planted.name_of(), found, BASES, interfaces.load())
    assert (finding.code, finding.where) == ("WF320", "planted/x.abi3.so")


def test_abi3audit_is_asked_about_a_file_by_its_name_as_a_wheel(tmp_path: Path):
    kept = tmp_path / "5e884898da28"
    kept.write_bytes(
        planted.pack(
            planted.members(LIBRARY, "planted/x.abi3.so", ("cp39-abi3-manylinux_2_36_x86_64",))
        )
    )
    name = "planted-1.0-cp39-abi3-manylinux_2_36_x86_64.whl"
    assert abi3audit.claims_stable_abi(name)
    assert abi3audit.run_abi3audit(kept, name) == []
    (broken,) = abi3audit.run_abi3audit(tmp_path / "missing", name)
    assert broken[:2] == ("WF303", name)


def test_check_of_what_is_no_wheel(tmp_path: Path):
    named = tmp_path / "planted.whl"
    named.write_bytes(b"")
    assert [finding.code for finding in read.check_wheel(named).findings] == ["WF305"]
    with pytest.raises(read.NoWheelError, match="no such file"):
        read.check_wheel(tmp_path / "missing.whl")
    with (
        Store(tmp_path / "wheelhouse") as store,
        pytest.raises(read.NoWheelError, match="NAME==VERSION"),
    ):
        read.download_upstream_wheels("../x", tmp_path, store)


def test_a_directory_of_countless_members_is_refused(tmp_path: Path):
    whole = planted.pack({"x": b""}, b"")
    start, end = whole.rindex(b"PK\1\2"), whole.rindex(b"PK\5\6")
    directory = whole[start:end] * 300_000
    path = tmp_path / "planted-1.0-py3-none-any.whl"
    path.write_bytes(
        whole[:start]
        + directory
        + whole[end : end + 12]
        + struct.pack("<II", len(directory), start)
        + b"\0\0"
    )
    (finding,) = read.check_wheel(path).findings
    assert (finding.code, "300000 members" in finding.detail) == ("WF306", True)


def test_a_copy_of_a_library_of_the_system_is_told_with_the_key_that_leaves_it_out():
    found = facts(f"cp314-cp314-{planted.PLATFORM}")
    copy = "planted.libs/libodbc-1a2b3c4d.so.2.0.0"
    other = "planted.libs/libodbcish-1a2b3c4d.so.2.0.0"
    found = found.model_copy(update={"grafted": (copy, other)})
    findings = rules.judge_wheel(planted.name_of(), found, BASES, interfaces.load())
    told = [finding for finding in findings if finding.code == "WF335"]
    assert [finding.where for finding in told] == [copy]
    assert 'exclude = ["libodbc.so.*"]' in told[0].detail


def test_a_library_that_the_matrix_leaves_to_the_system_is_no_fault_of_the_wheel():
    found = facts(f"cp314-cp314-{planted.PLATFORM}", outside={"libodbc.so.2": planted.SO})
    assert "WF315" in codes(planted.name_of(), found)
    findings = rules.judge_wheel(
        planted.name_of(), found, BASES, interfaces.load(), ("libodbc.so.*",)
    )
    assert [finding.code for finding in findings if finding.code in {"WF315", "WF336"}] == ["WF336"]
