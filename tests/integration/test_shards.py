"""A run cut into three shards and merged gives the verdicts and the index of one run; a night says what is different."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ExitCode
from tests.integration.conftest import Workshop
from tests.integration.runner import ROOT, Runner, checkout, load, shell
from tests.unit.local_index import serving, wheel

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.steady]
sdist = "steady-1.0.tar.gz"
[packages.chained]
sdist = "chained-1.0.tar.gz"
[packages.crooked]
sdist = "crooked-1.0.tar.gz"
[packages.lost]
sdist = "lost-1.0.tar.gz"
"""


def farm(
    shop: Workshop, command: str, *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    whole = [
        sys.executable,
        "-m",
        "builder",
        command,
        "--matrix",
        str(shop.root / "matrix.toml"),
        *options,
    ]
    return subprocess.run(whole, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def merged(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Return the workshop that the workflow's last job leaves: planned, run in three shards, and merged."""
    assert images
    project = Workshop(root=tmp_path_factory.mktemp("project"))
    project.write(MATRIX, "steady", "chained", "crooked")
    known = {
        "vars.SHARDS || '4'": "3",
        "github.run_id": "1",
        "github.server_url": "https://git.invalid",
        "github.repository": "octo-org/wheels",
        "secrets.ALERT_URL": "",
        "secrets.ALERT_TOKEN": "",
    }
    runner = Runner(project=project.root, root=tmp_path_factory.mktemp("workflow"), known=known)
    runner.job("plan", "plan")
    numbers = json.loads(runner.known["needs.plan.outputs.shards"])
    assert numbers == ["1/3", "2/3", "3/3"]
    for place, number in enumerate(numbers):
        values = {"matrix.shard": number, "strategy.job-index": str(place)}
        workspace = runner.job("shard", f"shard-{place}", **values)
        assert not (workspace / "wheelhouse/simple").exists(), "a shard publishes nothing"
    workspace = runner.job("merge", "merge")
    assert "The first night" in (workspace / "summary").read_text()
    assert (runner.root / "artifacts/index/simple/steady/index.html").is_file()
    assert (runner.root / "cache/verdicts.json").is_file()
    return Workshop(root=workspace)


def said(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says, but not when."""
    return {key: value for key, value in document.items() if key != "generated_at"}


def files(wheelhouse: Path) -> dict[str, bytes]:
    """Return the index and the constraints."""
    folders = ("simple", "quarantine", "constraints")
    found = (
        path for folder in folders for path in (wheelhouse / folder).rglob("*") if path.is_file()
    )
    return {str(path.relative_to(wheelhouse)): path.read_bytes() for path in found}


def test_shards_merged_say_what_one_run_says(merged: Workshop):
    document = json.loads((merged.wheelhouse / "verdicts.json").read_text())
    index = files(merged.wheelhouse)
    verdicts = {
        name: [abi["verdict"] for abi in package["abis"].values()]
        for name, package in merged.verdicts().items()
    }
    assert verdicts == {
        "steady": ["compatible", "unproven"], "chained": ["compatible", "unproven"], "crooked": ["build-failure"] * 2,  "lost": ["build-failure"] * 2,
    }  # fmt: skip
    ended = merged.run()
    started = [line.split()[-1] for line in ended.stdout.splitlines() if "  start  " in line]
    assert all(job.startswith("image:") for job in started), (
        "images are made here, the rest is known"
    )
    assert said(json.loads((merged.wheelhouse / "verdicts.json").read_text())) == said(document)
    assert files(merged.wheelhouse) == index
    assert (merged.wheelhouse / "constraints/cp314t.txt").read_text().count("==1.0") >= 2


def test_what_needs_another_is_built_with_it(merged: Workshop):
    records = [
        json.loads(path.read_text()) for path in (merged.root / "shards").glob("*/shard.json")
    ]
    assert sum({"steady", "chained"} <= set(record["found"]) for record in records) == 1
    assert len(records) == 3


def test_a_shard_that_is_missing_is_named(merged: Workshop, tmp_path: Path):
    two = sorted(map(str, (merged.root / "shards").iterdir()))[:2]
    ended = farm(merged, "merge", "--wheelhouse", str(tmp_path / "wheelhouse"), *two)
    assert ended.returncode == ExitCode.USAGE
    assert "3/3 is missing" in ended.stderr
    assert not (tmp_path / "wheelhouse/simple").exists()


def test_the_gitlab_example_does_the_same(merged: Workshop, tmp_path: Path):
    jobs = load(ROOT / "docs/gitlab-ci.yml")
    cached = merged.root / "wheelhouse"
    (tmp_path / "project").mkdir()
    for path in (merged.root / "matrix.toml", *merged.root.glob("*.tar.gz")):
        shutil.copy(path, tmp_path / "project")

    def job(name: str, place: str, *given: Path, **variables: str) -> Path:
        workspace = tmp_path / place
        checkout(workspace, tmp_path / "project")
        for path in given:
            shutil.copytree(path, workspace / path.name)
        ended = shell("\n".join(jobs[name]["script"]), workspace, **variables)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return workspace

    planned = job("plan", "plan", cached)
    assert jobs["plan"]["artifacts"]["paths"] == ["wheelhouse/store"]
    for path in (planned / "wheelhouse").iterdir():
        if path.name != "store":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shards = []
    assert jobs["shard"]["parallel"] > 1
    for number in (1, 2):
        numbers = {"CI_NODE_INDEX": str(number), "CI_NODE_TOTAL": "2"}
        place = job("shard", f"shard-{number}", planned / "wheelhouse", **numbers)
        shards += sorted(place.glob("shard-*"))
    done = job("merge", "merge", cached, *shards)
    assert said(json.loads((done / "wheelhouse/verdicts.json").read_text())) == said(
        json.loads((cached / "verdicts.json").read_text())
    )
    assert (done / jobs["merge"]["artifacts"]["reports"]["junit"]).is_file()


def test_logs_come_along(merged: Workshop):
    for package in merged.verdicts().values():
        for abi in package["abis"].values():
            for finding in abi["findings"]:
                assert not finding["log"] or (merged.wheelhouse / finding["log"]).is_file()


def test_a_night_with_a_broken_release_says_so(merged: Workshop, tmp_path: Path):
    shop = Workshop(root=tmp_path)
    shutil.copytree(
        merged.root,
        tmp_path,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("shards"),
        symlinks=True,
    )
    quiet = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert (quiet.returncode, "No verdict changed." in quiet.stdout) == (
        ExitCode.ADMISSIBLE,
        True,
    ), quiet.stderr
    good = (tmp_path / "chained-1.0.tar.gz").read_bytes()
    (tmp_path / "chained-1.0.tar.gz").write_bytes(b"no archive")
    bad = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert bad.returncode == ExitCode.FAULTS, bad.stdout + bad.stderr
    assert "| worse | chained | cp314 | compatible | build-failure |" in bad.stdout
    assert (shop.wheelhouse / "report/night.md").read_text() == bad.stdout
    (tmp_path / "chained-1.0.tar.gz").write_bytes(good)
    mended = farm(shop, "nightly", "--wheelhouse", str(shop.wheelhouse))
    assert (mended.returncode, "better | chained" in mended.stdout) == (ExitCode.ADMISSIBLE, True)


def test_a_night_takes_a_new_release(images: Workshop, workshop: Workshop):
    assert images
    workshop.write('[farm]\nbases = ["debian-12"]\n[packages.purely]\n')
    (workshop.root / "index").mkdir()
    with serving(workshop.root / "index") as (upstream, settings):
        environment = {
            **os.environ,
            "PIP_INDEX_URL": settings.url,
            "PIP_CONFIG_FILE": os.devnull,
            "no_proxy": "127.0.0.1",
        }
        environment.pop("PIP_EXTRA_INDEX_URL", None)
        for version, words in (("1.0", "The first night"), ("1.1", "| purely | 1.0 | 1.1 |")):
            name = f"purely-{version}-py3-none-any.whl"
            upstream.add("purely", name, wheel("purely", version))
            night = farm(
                workshop,
                "nightly",
                "--wheelhouse",
                str(workshop.wheelhouse),
                environment=environment,
            )
            assert (night.returncode, words in night.stdout) == (ExitCode.ADMISSIBLE, True), (
                night.stdout + night.stderr
            )
            assert [
                path.name for path in (workshop.wheelhouse / "simple/purely").glob("*.whl")
            ] == [name]
