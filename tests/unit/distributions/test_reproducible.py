import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.distributions import reproducible
from builder.evidence.build import BuildFacts
from builder.execute import LocalExecutor
from builder.jobs.build.build import Build
from builder.jobs.job import Inputs, Result, Tools
from builder.plan.graph import Plan
from builder.store.evidence import Evidence
from builder.store.store import Store
from builder.untrusted import zips
from tests.unit.execute.test_executor import ROOM, Step, Watcher

NAME = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
INFO = "foo-1.0.dist-info"
MEMBERS = {
    "foo/__init__.py": b"",
    "foo/foo.so": b"\x7fELF",
    f"{INFO}/METADATA": b"Name: foo",
    f"{INFO}/RECORD": b"r",
}


def packed(
    path: Path, members: Mapping[str, bytes], year: int = 2001, mode: int = 0o644, method: int = 0
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (year, 2, 3, 4, 5, 6))
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, content)
    return path


@given(
    st.permutations(list(MEMBERS)),
    st.integers(1980, 2100),
    st.sampled_from([0o600, 0o644, 0o664]),
    st.sampled_from([0, 8]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_wheels_of_one_content_are_one(
    tmp_path: Path, order: list[str], year: int, mode: int, method: int
):
    one = packed(tmp_path / "one.whl", MEMBERS)
    other = packed(
        tmp_path / "other.whl", {name: MEMBERS[name] for name in order}, year, mode, method
    )
    for wheel in (one, other):
        reproducible.normalize_wheel(wheel)
    assert one.read_bytes() == other.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == MEMBERS
        assert archive.namelist()[-2:] == [f"{INFO}/METADATA", f"{INFO}/RECORD"]
        assert {info.date_time for info in archive.infolist()} == {(2020, 1, 1, 0, 0, 0)}


def test_a_program_stays_executable(tmp_path: Path):
    wheel = packed(tmp_path / "one.whl", MEMBERS, mode=0o711)
    reproducible.normalize_wheel(wheel)
    with zipfile.ZipFile(wheel) as archive:
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100755}


def odd(path: Path, kind: str) -> Path:
    if kind == "no archive":
        path.write_bytes(b"PK nothing")
        return path
    if kind == "damaged":
        packed(path, MEMBERS)
        path.write_bytes(path.read_bytes().replace(b"\x7fELF", b"\x7fFLE"))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        if kind == "folder":
            archive.writestr("foo/", b"")
        if kind == "link":
            info = zipfile.ZipInfo("foo/link")
            info.external_attr = 0o120777 << 16
            archive.writestr(info, b"/etc/passwd")
        archive.writestr("foo.py", b"1")
        if kind == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("foo.py", b"2")
    return path


@pytest.mark.parametrize("kind", ["no archive", "damaged", "folder", "link", "twice"])
def test_what_is_odd_is_left_for_the_audit_to_see(tmp_path: Path, kind: str):
    wheel = odd(tmp_path / "one.whl", kind)
    before = wheel.read_bytes()
    reproducible.normalize_wheel(wheel)
    assert wheel.read_bytes() == before
    assert list(tmp_path.iterdir()) == [wheel]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"foo/foo.so": b"\x7fELG", f"{INFO}/RECORD": b"s"}, ["foo/foo.so"]),
        ({"foo/more.py": b""}, ["foo/more.py"]),
        ({f"{INFO}/RECORD": b"s"}, [f"{INFO}/RECORD"]),
        ({}, ["(archive)"]),
    ],
)
def test_members_that_differ_are_named(tmp_path: Path, change: dict[str, bytes], names: list[str]):
    before = packed(tmp_path / "one.whl", MEMBERS)
    after = packed(tmp_path / "two.whl", MEMBERS | change, year=2002)
    assert reproducible.compare_wheels(before, after) == names


@dataclass
class Maker(Step):
    folder: Path = Path()
    change: bytes = b""

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        wheel = packed(
            self.folder / NAME, MEMBERS | ({"foo/foo.so": self.change} if self.change else {})
        )
        return Result(facts=BuildFacts(abis={}), files={NAME: tools.store.add_file(wheel)})

    def compare_rebuild(self, before: Evidence, result: Result, store: Store) -> Any:
        return Build.compare_rebuild(cast("Build", self), before, result, store)


def test_builds_of_one_key_are_compared(tmp_path: Path):
    store = Store(tmp_path / "wheelhouse")

    def built(change: bytes, *, again: bool) -> Any:
        step = Maker("build:foo@x", [], folder=tmp_path, change=change)
        plan = Plan(jobs={step.id: cast("Any", step)})
        executor = LocalExecutor(
            plan, store, Watcher(), cast("Any", object), resources=ROOM, stop=threading.Event()
        )
        return executor.run(frozenset({step.id} if again else ()))[step.id].facts.get("rebuilt")

    assert built(b"", again=False) is None
    assert built(b"", again=True) == {NAME: []}
    assert built(b"else", again=True) == {NAME: ["foo/foo.so"]}
    store.close()


def test_a_bomb_is_left_as_it_is_and_nothing_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(zips, "_BOMB_BYTES", 1 << 20)
    bomb = tmp_path / NAME
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2 << 20))
    before = bomb.read_bytes()
    monkeypatch.setattr(reproducible, "_rewrite", lambda *_: pytest.fail("it is unpacked"))
    reproducible.normalize_wheel(bomb)
    assert bomb.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_wheel_that_takes_too_long_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = packed(tmp_path / NAME, MEMBERS)
    before = wheel.read_bytes()
    monkeypatch.setattr(reproducible, "_TIMEOUT_S", 0)
    reproducible.normalize_wheel(wheel)
    assert wheel.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("offset", [1 << 62, (1 << 64) - 1])
def test_a_member_outside_of_its_file_leaves_a_wheel_as_it_is(tmp_path: Path, offset: int):
    wheel = packed(tmp_path / "one.whl", {f"{INFO}/METADATA": b"Name: foo"})
    content = wheel.read_bytes()
    entry = content.rindex(b"PK\x01\x02")
    end = content.rindex(b"PK\x05\x06")

    # The directory's entry says where the member begins in a field of ZIP64 (APPNOTE.TXT, 4.5.3).
    changed, ending = bytearray(content[entry:end]), bytearray(content[end:])
    changed += (1).to_bytes(2, "little") + (8).to_bytes(2, "little") + offset.to_bytes(8, "little")
    changed[30:32] = (12).to_bytes(2, "little")
    changed[42:46] = b"\xff" * 4
    ending[12:16] = len(changed).to_bytes(4, "little")
    odd = content[:entry] + changed + ending
    wheel.write_bytes(odd)

    reproducible.normalize_wheel(wheel)
    assert wheel.read_bytes() == odd
    with zips.open_zip(wheel) as archive:
        assert zips.explain_bomb(archive, archive.infolist(), len(odd)) == (
            "has members outside of its file"
        )
