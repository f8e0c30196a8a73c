"""Every planted fault gets its own code, and nothing else."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder import check
from builder.engine import Engine
from builder.findings import CODES
from tests import planted
from tests.integration.conftest import Workshop


@pytest.fixture(scope="module")
def objects(engine: Engine, images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    assert images
    image = engine.newest_image("wheelfarm/builder-debian-12")
    assert image is not None
    return planted.compile_all(engine, image, tmp_path_factory.mktemp("compile") / "log")


def test_each_fault_gets_its_code_and_no_other(objects: Mapping[str, bytes], tmp_path: Path):
    wrong = {}
    count = 0
    for one in planted.planted(objects):
        found = check.check(one.write(tmp_path)).findings
        count += 1
        if {finding.code for finding in found} != {one.code}:
            wrong[one.fault] = (one.code, [(finding.code, finding.detail) for finding in found])
    assert wrong == {}
    assert count >= 25


def test_good_wheels_have_no_finding(objects: Mapping[str, bytes], tmp_path: Path):
    for one in planted.good(objects):
        assert check.check(one.write(tmp_path)).findings == (), one.fault


def test_every_code_of_the_audit_is_planted(objects: Mapping[str, bytes]):
    elsewhere = {"WF303", "WF333"}  # auditwheel's own trouble, and two builds compared: see tests/unit
    audited = {code for code in CODES if code.startswith("WF3")} - elsewhere
    assert {one.code for one in planted.planted(objects)} == audited


def test_the_culprit_is_named(objects: Mapping[str, bytes], tmp_path: Path):
    details = {one.fault: check.check(one.write(tmp_path)).findings[0] for one in planted.planted(objects)}
    assert f"arc4random@GLIBC_2.36 of libc.so.6 in {planted.SO}" in details["newer glibc"].detail
    assert "GLIBCXX_3.4.30 of libstdc++.so.6" in details["newer libstdc++"].detail
    assert "PyUnicode_AsUnicode, which CPython 3.12 removed" in details["removed C API"].detail
    assert details["library missing on slim bases"].bases == ("debian-12", "debian-13", "ubuntu-24.04")
    assert "_Py_Dealloc shows it" in details["GIL code in cp314t"].detail
    assert "layout of its module definition shows it" in details["GIL layout in cp314t"].detail


def test_a_wheel_of_500_mb_takes_little_memory(objects: Mapping[str, bytes], tmp_path: Path):
    """Random bytes behind a native file: nothing packs, everything is hashed, and the object is read from disk."""
    noise = os.urandom(1 << 20) * 500
    content = planted.members(objects["good"] + noise)
    path = planted.Planted(fault="large", code="", filename=planted.name_of(), content=planted.pack(content)).write(
        tmp_path
    )
    assert path.stat().st_size > 500 << 20
    assert check.check(path).findings == ()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20  # KiB


def test_reading_writes_nothing(objects: Mapping[str, bytes], tmp_path: Path):
    hostile = [one for one in planted.planted(objects) if one.code == "WF306"]
    paths = [one.write(tmp_path / "wheels") for one in hostile]
    before = sorted(tmp_path.rglob("*"))
    for path in paths:
        check.check(path)
    assert sorted(tmp_path.rglob("*")) == before
