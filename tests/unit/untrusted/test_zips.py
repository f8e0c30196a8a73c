"""Zip archives that are larger inside than outside, or that have more entries than any package."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from builder.untrusted import zips
from builder.untrusted.zips import explain_bomb, open_zip


def explain(path: Path) -> str:
    with open_zip(path) as archive:
        return explain_bomb(archive, archive.infolist(), path.stat().st_size)


def write_zip(path: Path, sizes: dict[str, int], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, size in sizes.items():
            with archive.open(name, "w") as file:
                for _ in range(size >> 20):
                    file.write(bytes(1 << 20))
                file.write(bytes(size & ((1 << 20) - 1)))
    return path


def write_countless_members(path: Path, count: int) -> Path:
    """Write an archive whose directory names one and the same empty member again and again."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    directory = (entry + b"a") * count
    offset = len(
        path_header := struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    )
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), offset, 0
    )
    path.write_bytes(path_header + directory + end)
    return path


def write_overlapping(path: Path) -> Path:
    """Write an archive whose members are all the same compressed bytes (a "better zip bomb")."""
    kernel = zlib.compress(bytes(1 << 20), 9, -15)
    header = struct.pack(
        "<4s5H3L2H",
        b"PK\3\4",
        20,
        0,
        8,
        0,
        0,
        zlib.crc32(bytes(1 << 20)),
        len(kernel),
        1 << 20,
        1,
        0,
    )
    entries = b""
    for number in range(200):
        name = chr(ord("a") + number % 26).encode()
        entries += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, zlib.crc32(bytes(1 << 20)),
            len(kernel), 1 << 20, 1, 0, 0, 0, 0, 0, 0,
        ) + name  # fmt: skip
    body = header + b"a" + kernel
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 200, 200, len(entries), len(body), 0)
    path.write_bytes(body + entries + end)
    return path


def test_an_honest_wheel_may_be_unpacked(tmp_path: Path):
    assert explain(write_zip(tmp_path / "a.whl", {"a.py": 1000, "b.so": 5_000_000})) == ""


def test_a_directory_of_countless_members_is_refused_before_it_is_read(tmp_path: Path):
    path = write_countless_members(tmp_path / "a.whl", 1_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(zipfile.BadZipFile, match="more than 16 MiB"), open_zip(path):
        pass
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 << 10  # KiB; the archive as zipfile holds it takes more than 500 MiB


def test_more_members_than_any_package_has_are_a_bomb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(zips, "MOST_MEMBERS", 1000)
    assert "more than 1000 members" in explain(write_countless_members(tmp_path / "a.whl", 1001))


def test_what_grows_too_much_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zips, "_BOMB_BYTES", 1 << 20)
    path = write_zip(tmp_path / "a.whl", {"zeros": 2 << 20})
    assert "unpacks to 2097152" in explain(path)
    monkeypatch.setattr(zips, "MOST_UNPACKED_BYTES", 1 << 20)
    assert "more than 0 GiB" in explain(write_zip(tmp_path / "b.whl", {"a": 2 << 20}))


def test_members_that_share_their_bytes_are_a_bomb(tmp_path: Path):
    assert "share their bytes" in explain(write_overlapping(tmp_path / "a.whl"))


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_ways_of_compressing_that_may_take_any_memory_are_left_alone(
    tmp_path: Path, compression: int
):
    assert "in a way" in explain(write_zip(tmp_path / "a.whl", {"a": 10}, compression))


def test_nothing_on_this_machine_opens_a_zip_in_another_way():
    """`zipfile.ZipFile` stands nowhere but in the door, and where an archive is written."""
    root = Path(zips.__file__).parents[1]
    command = ["grep", "-rn", "ZipFile(", "--include=*.py", "--exclude-dir=inside", str(root)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    others = [
        line for line in found.splitlines() if "untrusted/zips.py" not in line and '"w"' not in line
    ]
    assert others == [], sys.version
