import io
import tarfile
from pathlib import Path

import pytest

from builder.engine import archives
from builder.errors import InfrastructureError


def test_files_come_out_as_they_went_in(tmp_path: Path):
    (tmp_path / "wheel").write_bytes(b"\x00" * 9)
    with archives.pack(
        {"/farm/run.sh": b"#!/bin/sh\n", "/farm/wheel": tmp_path / "wheel"}
    ) as packed:
        content = packed.read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert [(member.name, member.mode) for member in archive] == [
            ("farm/run.sh", 0o755),
            ("farm/wheel", 0o644),
        ]
    assert archives.unpack([content], "/farm") == {
        "farm/run.sh": b"#!/bin/sh\n",
        "farm/wheel": b"\x00" * 9,
    }


def test_what_is_large_is_packed_on_disk(tmp_path: Path):
    with (tmp_path / "wheel").open("wb") as file:
        file.truncate(80 << 20)
    with archives.pack({"/farm/wheel": tmp_path / "wheel"}) as packed:
        assert not isinstance(packed, io.BytesIO)
        assert archives.unpack(iter(lambda: packed.read(1 << 20), b""), "/farm") == {
            "farm/wheel": bytes(80 << 20)
        }


def test_links_and_devices_stay_behind():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("null", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert archives.unpack([buffer.getvalue()], "/result") == {}


def test_an_answer_without_end_is_cut():
    with pytest.raises(InfrastructureError, match="/result is larger than 512 MiB"):
        archives.unpack((bytes(64 << 20) for _ in range(100)), "/result")


def test_an_answer_has_a_lower_limit_of_its_own():
    chunks = iter([bytes(1 << 20)] * 4)

    with pytest.raises(InfrastructureError, match="/result is larger than 2 MiB"):
        archives.unpack(chunks, "/result", 2 << 20)

    assert len(list(chunks)) == 1, "nothing is read after the limit"
