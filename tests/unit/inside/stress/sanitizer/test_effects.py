"""Which races harm nobody, by the machine code of the accesses and by what stores changed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from builder.inside.stress.sanitizer import effects
from builder.inside.stress.sanitizer.attribution import make_owner_test
from builder.inside.stress.sanitizer.elf import read_code
from builder.inside.stress.sanitizer.frames import Frame
from builder.inside.stress.sanitizer.stores import Stores

if TYPE_CHECKING:
    from pathlib import Path

    from builder.inside.stress.sanitizer.reports import Report, Stack

TESTED = "48 83 3b 00"  # cmpq $0x0,(%rbx)
KEPT = "48 8b 03"  # mov (%rbx),%rax
MODULE = "_post.so"


@pytest.mark.parametrize(
    "code",
    [
        TESTED,
        "49 83 7e 10 00",  # cmpq $0x0,0x10(%r14)
        "83 bb 00 01 00 00 00",  # cmpl $0x0,0x100(%rbx)
        "66 83 7b 08 00",  # cmpw $0x0,0x8(%rbx)
        "80 7b 0c 00 74",  # cmpb $0x0,0xc(%rbx)
        "48 83 7c 24 08 00",  # cmpq $0x0,0x8(%rsp)
        "48 83 3d 10 20 00 00 00",  # cmpq $0x0,0x2010(%rip)
        "31 ed 48 83 3b 01 19 ed",  # xor %ebp,%ebp; cmpq $0x1,(%rbx); sbb %ebp,%ebp
        "83 7b 08 01 0f 92 c0",  # cmpl $0x1,0x8(%rbx); setb %al
        "83 7b 08 01 72 05",  # cmpl $0x1,0x8(%rbx); jb
        "31 ed 3b 6b 08",  # xor %ebp,%ebp; cmp 0x8(%rbx),%ebp
        "45 31 ff 4c 3b 3b",  # xor %r15d,%r15d; cmp (%rbx),%r15
    ],
)
def test_a_comparison_of_memory_with_zero_keeps_nothing(code: str):
    assert effects.is_zero_test(bytes.fromhex(code))


@pytest.mark.parametrize(
    "code",
    [
        "",
        KEPT,
        "48 83 7b 10 ff",  # cmpq $-1,0x10(%rbx)
        "83 7b 08 01 74 05",  # cmpl $0x1,0x8(%rbx); je
        "83 7b 08 02 72 05",  # cmpl $0x2,0x8(%rbx); jb
        "48 83 f8 00",  # cmp $0x0,%rax
        "48 83 03 00",  # addq $0x0,(%rbx)
        "3b 6b 08",  # cmp 0x8(%rbx),%ebp, which has any value
        "31 ed 3b 5b 08",  # xor %ebp,%ebp; cmp 0x8(%rbx),%ebx
        "31 dd 3b 6b 08",  # xor %ebx,%ebp; cmp 0x8(%rbx),%ebp
        "48 83",
        "00 00 00 91",  # of another processor
    ],
)
def test_any_other_code_may_keep_what_it_read(code: str):
    assert not effects.is_zero_test(bytes.fromhex(code))


def write_library(path: Path, code: str) -> None:
    """Write a shared library whose only segment has some code, at address 0x1000 and at offset 0x78 of the file."""
    content = bytes.fromhex(code)
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64)
    header = header.ljust(54, b"\0") + struct.pack("<HH", 56, 1)
    segment = struct.pack("<II3QQ", 1, 5, 0x78, 0x1000, 0x1000, len(content))
    path.write_bytes(header.ljust(64, b"\0") + segment.ljust(56, b"\0") + content)


def test_code_is_read_by_where_it_is_in_memory(tmp_path: Path):
    library = tmp_path / MODULE
    write_library(library, "90 91 92")
    assert read_code(library, 0x1001, 32) == b"\x91\x92"
    assert read_code(library, 0x1003, 32) == b""
    assert read_code(tmp_path / "nothing.so", 0x1000, 32) == b""


@pytest.mark.parametrize("size", [0, 5, 63, 100], ids=str)
def test_of_a_library_that_is_cut_off_no_code_is_read(tmp_path: Path, size: int):
    library = tmp_path / MODULE
    write_library(library, "90 91 92")
    library.write_bytes(library.read_bytes()[:size])
    assert read_code(library, 0x1000, 32) == b""


def make_stack(folder: Path, access: str, *, module: str = MODULE, offset: int = 0xFFF) -> Stack:
    frame = Frame(
        function="follow", place="/tmp/project/post/p.c:3", module=module, folder=str(folder), offset=offset
    )  # fmt: skip
    return {"access": access, "frames": [frame]}


def make_report(*stacks: Stack, kind: str = "data race") -> Report:
    return {"kind": kind, "stacks": list(stacks), "allocation": [], "text": ""}


def find(report: Report, stores: Stores | None = None, *, freed: bool = False) -> str:
    return effects.find_effect(report, make_owner_test({MODULE}), stores, freed=freed)


def test_a_test_for_null_beside_a_write_harms_nobody(tmp_path: Path):
    write_library(tmp_path / MODULE, TESTED)
    read = make_stack(tmp_path, "read of size 8")
    write = make_stack(tmp_path, "previous write of size 8")
    assert find(make_report(read, write)) == "tested"
    assert find(make_report(write, read)) == "tested"


@pytest.mark.parametrize("code", [KEPT, ""], ids=["kept", "no code"])
def test_a_read_that_may_keep_the_value_may_do_harm(tmp_path: Path, code: str):
    write_library(tmp_path / MODULE, code)
    read = make_stack(tmp_path, "read of size 8")
    assert find(make_report(read, make_stack(tmp_path, "write of size 8"))) == ""


def test_a_test_of_memory_that_is_given_back_may_do_harm(tmp_path: Path):
    write_library(tmp_path / MODULE, TESTED)
    report = make_report(
        make_stack(tmp_path, "read of size 8"), make_stack(tmp_path, "write of size 8")
    )
    assert find(report, freed=True) == ""


def test_only_code_of_the_package_is_looked_at(tmp_path: Path):
    write_library(tmp_path / "python3.14t", TESTED)
    folder = tmp_path / MODULE
    read = make_stack(tmp_path, "read of size 8", module="python3.14t")
    read["frames"][0]["folder"] = "/opt/race/tree/bin"
    assert find(make_report(read, make_stack(folder, "write of size 8"))) == ""


def note(stores: Stores, offset: int, seen: int) -> None:
    """Note a store as images/stores.c does, in the first slot that is free."""
    value = 2166136261
    for byte in MODULE.encode():
        value = (value ^ byte) * 16777619 % 2**32
    key = value << 32 | offset
    place = key * 0x9E3779B97F4A7C15 % 2**64 >> 49
    with open(stores.path, "r+b") as file:  # noqa: PTH123 - one slot of it is written
        while True:
            file.seek(place * 16)
            if not any(file.read(8)):
                break
            place = (place + 1) % 32768
        file.seek(place * 16)
        file.write(struct.pack("<QII", key, seen, 0))


@pytest.fixture
def stores() -> Stores:
    return Stores.create()


@pytest.mark.parametrize(
    ("seen", "is_unchanging"), [(1, True), (2, False), (3, False), (0, False)], ids=str
)
def test_a_store_is_unchanging_that_only_ever_left_what_was_there(
    stores: Stores, *, seen: int, is_unchanging: bool
):
    note(stores, 0x40, seen)
    assert stores.is_unchanging(MODULE, 0x40) == is_unchanging
    assert not stores.is_unchanging(MODULE, 0x41)
    assert not stores.is_unchanging("_other.so", 0x40)


def test_stores_of_one_place_in_the_file_are_told_apart(stores: Stores):
    for number in range(200):
        note(stores, number, 1 + number % 2)
    assert [stores.is_unchanging(MODULE, number) for number in range(200)] == [True, False] * 100


def test_a_race_whose_stores_change_nothing_harms_nobody(tmp_path: Path, stores: Stores):
    note(stores, 0x40, 1)
    note(stores, 0x50, 2)
    read = make_stack(tmp_path, "read of size 8", offset=0x60)
    same = make_stack(tmp_path, "write of size 8", offset=0x40)
    other = make_stack(tmp_path, "previous write of size 8", offset=0x50)

    assert find(make_report(read, same), stores) == "unchanged"
    assert find(make_report(same, same), stores) == "unchanged"
    assert find(make_report(same, other), stores) == ""
    assert find(make_report(read, other), stores) == ""
    assert find(make_report(read, same)) == ""
    assert find(make_report(same, same, kind="lock-order-inversion"), stores) == ""
