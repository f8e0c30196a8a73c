"""Every planted fault gets its own code, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest

from builder.check import read
from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.jobs.images.ids import role_image_id
from builder.judge import codes
from builder.report.documents.check import CheckDocument
from builder.report.documents.part import make_schema
from tests import planted
from tests.integration.conftest import Workshop, image_of

MEASURE = """
import json, resource, sys
from pathlib import Path
from builder.check import read
findings = [finding.code for finding in read.check_wheel(Path(sys.argv[1])).findings]
peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"findings": findings, "peak_kib": peak_kib}))
"""
"""Checks a wheel, and says how much memory the programs took that read it."""


@pytest.fixture(scope="module")
def objects(
    engine: Engine, images: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, bytes]:
    image = image_of(images, role_image_id("builder", "debian-12"))
    return planted.compile_all(engine, image, tmp_path_factory.mktemp("compile") / "log")


def test_each_fault_gets_its_code_and_no_other(objects: Mapping[str, bytes], tmp_path: Path):
    wrong = {}
    count = 0
    for one in planted.planted(objects):
        found = read.check_wheel(one.write(tmp_path)).findings
        count += 1
        if {finding.code for finding in found} != {one.code}:
            wrong[one.fault] = (one.code, [(finding.code, finding.detail) for finding in found])
    assert wrong == {}
    assert count >= 80


def test_good_wheels_have_no_finding(objects: Mapping[str, bytes], tmp_path: Path):
    for one in planted.good(objects):
        assert read.check_wheel(one.write(tmp_path)).findings == (), one.fault


def test_every_code_of_the_audit_is_planted(objects: Mapping[str, bytes]):
    # auditwheel's own trouble, and two builds compared: see tests/unit. What belongs to the system, grafted and left out
    # by the matrix: see test_kinds_of_trouble.py.
    elsewhere = {"WF303", "WF333", "WF335", "WF336"}
    audited = {code for code in codes.load() if code.startswith("WF3")} - elsewhere
    assert {one.code for one in planted.planted(objects)} == audited


def test_the_culprit_is_named(objects: Mapping[str, bytes], tmp_path: Path):
    details = {
        one.fault: read.check_wheel(one.write(tmp_path)).findings[0]
        for one in planted.planted(objects)
    }
    assert f"arc4random@GLIBC_2.36 of libc.so.6 in {planted.SO}" in details["newer glibc"].detail
    assert "GLIBCXX_3.4.30 of libstdc++.so.6" in details["newer libstdc++"].detail
    assert "PyUnicode_AsUnicode, which CPython 3.12 removed" in details["removed C API"].detail
    assert details["library missing on slim bases"].bases == (
        "debian-12",
        "debian-13",
        "ubuntu-24.04",
    )
    assert "_Py_Dealloc shows it" in details["GIL code in cp314t"].detail
    assert "layout of its module definition shows it" in details["GIL layout in cp314t"].detail


def test_a_wheel_of_500_mb_takes_little_memory(objects: Mapping[str, bytes], tmp_path: Path):
    """Random bytes behind a native file: nothing packs, everything is hashed, and the object is read from disk."""
    noise = os.urandom(1 << 20) * 500
    content = planted.members(objects["good"] + noise)
    path = planted.Planted(
        fault="large", code="", filename=planted.name_of(), content=planted.pack(content)
    ).write(tmp_path)
    assert path.stat().st_size > 500 << 20

    # In a process of its own: a child's peak is at least that of the process that starts it, and this one made the wheel.
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    answer = json.loads(ended.stdout)
    assert answer["findings"] == []
    assert 0 < answer["peak_kib"] < 1 << 20


def test_reading_writes_nothing(objects: Mapping[str, bytes], tmp_path: Path):
    hostile = [one for one in planted.planted(objects) if one.code == "WF306"]
    paths = [one.write(tmp_path / "wheels") for one in hostile]
    before = sorted(tmp_path.rglob("*"))
    for path in paths:
        read.check_wheel(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_check_loads_wheels_and_judges_what_that_shows(
    objects: Mapping[str, bytes], tmp_path: Path
):
    """One wheel is good and needs another that is given with it, one turns the GIL on, one crashes."""
    tag = f"cp314-cp314t-{planted.PLATFORM}"
    good = planted.members(objects["good-t"], planted.SO_T, (tag,))
    good[f"{planted.DIST_INFO}/METADATA"] += b"Requires-Dist: annex>=1\n"
    good["planted/__init__.py"] = b"import annex\nfrom planted import _native\n"
    beside = {
        "annex.py": b"",
        "annex-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: annex\nVersion: 1.0\n",
        "annex-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    recorded = planted.record(beside).replace(planted.DIST_INFO.encode(), b"annex-1.0.dist-info")
    crashing = {
        **planted.members(objects["good-t"], planted.SO_T, (tag,)),
        "planted/__init__.py": b"import os; os.abort()",
    }
    paths = [
        planted.Planted(fault=fault, code="", filename=name, content=content).write(tmp_path)
        for fault, name, content in (
            ("good", planted.name_of("cp314t"), planted.pack(good)),
            (
                "gil",
                planted.name_of("cp314t"),
                planted.pack(planted.members(objects["no-slot-t"], planted.SO_T, (tag,))),
            ),
            ("crash", planted.name_of("cp314t"), planted.pack(crashing)),
        )
    ]
    pure = tmp_path / "annex-1.0-py3-none-any.whl"
    pure.write_bytes(planted.pack({**beside, "annex-1.0.dist-info/RECORD": recorded}, b""))
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[farm]\nbases = ["debian-12"]\n[packages.planted]\n')
    options = ("--load", "--json", "--matrix", str(matrix), "--logs", str(tmp_path / "kept"))
    command = [sys.executable, "-m", "builder", "check", *options, *map(str, (*paths, pure))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    answer = json.loads(ended.stdout)
    jsonschema.validate(answer, json.loads(make_schema(CheckDocument)))
    assert [[one["code"] for one in wheel["findings"]] for wheel in answer["wheels"]] == [
        ["WF505"], ["WF501", "WF505"], ["WF403"], [],
    ]  # fmt: skip
    places = [[(one["abi"], one["base"]) for one in wheel["loaded"]] for wheel in answer["wheels"]]
    both = [("cp314", "debian-12"), ("cp314t", "debian-12")]
    assert places == [both[1:], both[1:], both[1:], both]
    (crash,) = answer["wheels"][2]["findings"]
    assert "SIGABRT" in crash["detail"]
    assert "planted/__init__.py:1" in crash["detail"]
    assert "faulthandler" in (tmp_path / "kept" / crash["log"]).read_text()
