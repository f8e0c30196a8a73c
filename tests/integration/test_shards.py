"""A run cut into three shards and merged gives the verdicts and the index of one run; a night says what is different."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ExitCode
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.steady]
sdist = "steady-1.0.tar.gz"
[packages.chained]
sdist = "chained-1.0.tar.gz"
[packages.crooked]
sdist = "crooked-1.0.tar.gz"
[packages.soft]
sdist = "soft-1.0.tar.gz"
[packages.lost]
sdist = "lost-1.0.tar.gz"
"""


def farm(shop: Workshop, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "builder", command, "--matrix", str(shop.root / "matrix.toml"), *options]
    return subprocess.run(whole, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def merged(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return a workshop in which the matrix was run in three shards and merged."""
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("shards"))
    shop.write(MATRIX, "steady", "chained", "crooked", "soft")
    planned = farm(shop, "plan", "--wheelhouse", str(shop.wheelhouse), "--shards", "3", "--json")
    parts = json.loads(planned.stdout)["shards"]
    assert [part["shard"] for part in parts] == ["1/3", "2/3", "3/3"]
    assert ["chained", "steady"] in [sorted(set(part["packages"]) & {"chained", "steady"}) for part in parts]
    folders = []
    for number, part in enumerate(parts):
        folders.append(shop.root / f"shard-{number}")
        ended = farm(shop, "run", "--wheelhouse", str(folders[-1]), "--shard", part["shard"], "--json")
        assert ended.returncode == ExitCode.ADMISSIBLE, ended.stderr
        assert {package["name"] for package in json.loads(ended.stdout)["packages"]} == set(part["packages"])
        assert not (folders[-1] / "simple").exists(), "a shard publishes nothing"
    partial = farm(shop, "merge", "--wheelhouse", str(shop.wheelhouse), *map(str, folders[:2]))
    assert partial.returncode == ExitCode.USAGE
    assert "3/3 is missing" in partial.stderr
    ended = farm(shop, "merge", "--wheelhouse", str(shop.wheelhouse), *map(str, folders))
    assert ended.returncode == ExitCode.ADMISSIBLE, ended.stderr
    assert "The first night" in ended.stdout
    return shop


def said(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says, but not when."""
    return {key: value for key, value in document.items() if key != "generated_at"}


def files(wheelhouse: Path) -> dict[str, bytes]:
    """Return the index and the constraints."""
    folders = ("simple", "quarantine", "constraints")
    found = (path for folder in folders for path in (wheelhouse / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(wheelhouse)): path.read_bytes() for path in found}


def test_shards_merged_say_what_one_run_says(merged: Workshop):
    document = json.loads((merged.wheelhouse / "verdicts.json").read_text())
    index = files(merged.wheelhouse)
    verdicts = {
        name: [abi["verdict"] for abi in package["abis"].values()] for name, package in merged.verdicts().items()
    }
    assert verdicts == {
        "steady": ["compatible", "unproven"], "chained": ["compatible", "unproven"], "crooked": ["build-failure"] * 2,
        "soft": verdicts["soft"], "lost": ["build-failure"] * 2,
    }  # fmt: skip
    ended = merged.run()
    assert "  start  " not in ended.stdout, "one run in the merged store finds every job known"
    assert said(json.loads((merged.wheelhouse / "verdicts.json").read_text())) == said(document)
    assert files(merged.wheelhouse) == index
    assert (merged.wheelhouse / "constraints/cp314t.txt").read_text().count("==1.0") >= 2


def test_logs_come_along(merged: Workshop):
    for package in merged.verdicts().values():
        for abi in package["abis"].values():
            for finding in abi["findings"]:
                assert not finding["log"] or (merged.wheelhouse / finding["log"]).is_file()


def test_a_night_with_a_broken_release_says_so(merged: Workshop, tmp_path: Path):
    shop = Workshop(root=tmp_path)
    shutil.copytree(merged.root, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("shard-*"))
    quiet = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert (quiet.returncode, "No verdict changed." in quiet.stdout) == (ExitCode.ADMISSIBLE, True), quiet.stderr
    good = (tmp_path / "steady-1.0.tar.gz").read_bytes()
    (tmp_path / "steady-1.0.tar.gz").write_bytes(b"no archive")
    bad = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert bad.returncode == ExitCode.FAULTS, bad.stdout + bad.stderr
    assert "| worse | steady | cp314 | compatible | build-failure |" in bad.stdout
    assert (shop.wheelhouse / "report/night.md").read_text() == bad.stdout
    (tmp_path / "steady-1.0.tar.gz").write_bytes(good)
    mended = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert (mended.returncode, "better | steady" in mended.stdout) == (ExitCode.ADMISSIBLE, True)
