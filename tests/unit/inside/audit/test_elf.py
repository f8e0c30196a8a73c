"""The ELF reader and the wheel reader against anything at all."""

from __future__ import annotations

import io
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.inside.audit.elf import Elf
from builder.inside.audit.elf_file import ElfError
from builder.inside.audit.objects import Objects
from builder.inside.audit.wheelfile import Wheel

SMALL = next(
    path
    for path in sorted(Path("/lib/x86_64-linux-gnu").glob("lib*.so.*"))
    if 8_000 < path.stat().st_size < 40_000
)
ELF = SMALL.read_bytes()


def read_all(data: bytes) -> None:
    """Ask everything of an ELF file."""
    elf = Elf(data)
    for name in (
        "needed", "soname", "rpath", "runpath", "executable_stack", "relro", "bind_now", "text_relocations", "isa_needed", "has_debug_information",
        "relative_relocations", "symbols", "needed_versions", "provided_versions", "executable", "dynamic",
    ):  # fmt: skip
        getattr(elf, name)
    elf.word(0)


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_its_own_error(data: bytes):
    for content in (data, b"\x7fELF\x02\x01\x01" + data):
        try:
            read_all(content)
        except ElfError:
            continue


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(ELF) - 9), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=6,
    )
)
def test_a_damaged_library_raises_nothing_but_its_own_error(edits: list[tuple[int, bytes]]):
    damaged = bytearray(ELF)
    for at, new in edits:
        damaged[at : at + len(new)] = new
    try:
        read_all(bytes(damaged))
    except ElfError:
        return


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 63), st.integers(0, 2**64 - 1))
def test_a_damaged_header_raises_nothing_but_its_own_error(at: int, value: int):
    damaged = bytearray(ELF)
    damaged[at : at + 8] = struct.pack("<Q", value)
    native = Objects()
    native.add("x.so", bytes(damaged))
    native.facts()


@given(st.integers(0, len(ELF)))
def test_a_library_cut_short_raises_nothing_but_its_own_error(size: int):
    try:
        read_all(ELF[:size])
    except ElfError:
        return


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_arbitrary_wheels_are_faults_and_never_exceptions(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/__init__.py", b"a" * 40)
        archive.writestr("x-1.dist-info/RECORD", noise)
    damaged = bytearray(buffer.getvalue())
    damaged[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("wheel") / "x-1-py3-none-any.whl"
    for content in (noise, bytes(damaged)):
        path.write_bytes(content)
        with Wheel(path) as wheel:
            list(wheel.objects())
        assert all(kind and detail for kind, _, detail in wheel.faults)


def test_a_real_library_is_read():
    read_all(ELF)
    elf = Elf(ELF)
    assert elf.machine == "x86_64"
    assert "libc.so.6" in elf.needed
    assert any(version.startswith("GLIBC_") for _, version in elf.needed_versions)
    assert any(symbol.library == "libc.so.6" for symbol in elf.symbols)
    assert not elf.executable
    assert elf.relro


def test_a_member_without_a_name_is_no_exception(tmp_path: Path):
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"a")
    path.write_bytes(path.read_bytes().replace(b"x", b"\0"))  # the name ends at a zero byte
    with Wheel(path) as wheel:
        list(wheel.objects())


def test_a_library_with_the_suffix_of_an_extension_is_none():
    """setuptools gives it to what ctypes loads; an extension module makes a module when it is loaded."""
    native = Objects()
    name = "pkg/_fast.cpython-314-x86_64-linux-gnu.so"
    native.add(name, ELF)
    assert native.extensions() == {}
    assert native.facts()[name]["kind"] == "library"


@pytest.mark.parametrize(("option", "has_it"), [("-g", True), ("-g0", False)])
def test_debug_information_is_seen(tmp_path: Path, option: str, *, has_it: bool):
    """It may be most of a file, and nothing of it is loaded."""
    source, compiled = tmp_path / "x.c", tmp_path / "x.so"
    source.write_text("int add(int a, int b) { return a + b; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", option, source, "-o", compiled], check=True)

    native = Objects()
    native.add("x.so", compiled.read_bytes())
    assert native.facts()["x.so"]["debug"] is has_it
