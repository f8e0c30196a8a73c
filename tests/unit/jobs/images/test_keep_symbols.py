"""images/keep-symbols.sh, under the names of the programs that it stands for in the race detector's image."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from builder.config.catalog import images_dir

if TYPE_CHECKING:
    from pathlib import Path

PRINTS_ARGUMENTS = '#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n'


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return a copy of the script that calls programs below the folder of the test, which print how they are called."""
    script = (images_dir() / "keep-symbols.sh").read_text()
    for folder in ("/usr/bin", "/opt/race/compilers"):
        (tmp_path / folder[1:]).mkdir(parents=True)
        script = script.replace(f'"{folder}', f'"{tmp_path}{folder}')
    for name in ("usr/bin/ld", "usr/bin/ld.gold", "opt/race/compilers/clang++"):
        (tmp_path / name).write_text(PRINTS_ARGUMENTS)
        (tmp_path / name).chmod(0o755)
    path = tmp_path / "keep-symbols.sh"
    path.write_text(script)
    path.chmod(0o755)
    return path


def call(program: Path, name: str, *arguments: str) -> list[str]:
    """Call it under a name; return what the program that it then called printed."""
    link = program.parent / name
    link.symlink_to(program)
    ended = subprocess.run([link, *arguments], capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


@pytest.mark.parametrize("name", ["ld", "ld.gold"])
def test_a_linker_is_not_asked_to_strip(program: Path, name: str):
    wanted = ["-o", "a b.so", "-soname", "x.so", "-Bsymbolic", "-lstrip-all"]
    unwanted = ["-s", "-S", "-x", "--strip-all", "-strip-debug", "--discard-all"]
    called, *arguments = call(program, name, *unwanted, *wanted)
    assert called.endswith(f"/usr/bin/{name}")
    assert arguments == wanted


def test_a_compiler_keeps_what_it_knows_of_lines(program: Path):
    called, *arguments = call(
        program, "wheelfarm-clang++", "-g", "-g0", "-DX=a b", "-Xlinker", "-s"
    )
    assert called.endswith("/opt/race/compilers/clang++")
    assert arguments == ["-B/opt/race/linkers", "-g", "-DX=a b", "-Xlinker", "-s"]


@pytest.mark.parametrize("name", ["strip", "x86_64-linux-gnu-strip", "llvm-strip-19"])
def test_nothing_is_stripped(program: Path, name: str):
    module, copy = program.parent / "module.so", program.parent / "copy.so"
    module.write_bytes(b"\x7fELF with names")
    assert call(program, name, "--strip-all", "-K", "PyInit_x", str(module)) == []
    assert module.read_bytes() == b"\x7fELF with names"
    assert not copy.exists()

    assert call(program, f"copying-{name}", "-S", "-o", str(copy), str(module)) == []
    assert copy.read_bytes() == module.read_bytes()
