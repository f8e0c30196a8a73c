"""Two versions of one project in one matrix: both are built, judged and served, and each application gets its own."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from builder.errors import ExitCode
from builder.store.job_ids import JobId
from tests.corpus import make_sdist
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
[packages.steady]
sdist = "steady-1.0.tar.gz"
[packages."steady==2.0"]
sdist = "steady-2.0.tar.gz"
[packages.chained]
sdist = "chained-1.0.tar.gz"

[applications.old]
lock = "old.txt"
smoke = ["python -c 'from importlib.metadata import version; assert version(\\"steady\\") == \\"1.0\\"'"]
[applications.new]
lock = "new.txt"
smoke = ["python -c 'from importlib.metadata import version; assert version(\\"steady\\") == \\"2.0\\"'"]
"""


@pytest.fixture(scope="module")
def shop(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("versions"))
    shop.write(MATRIX, "steady", "chained")
    make_sdist("steady", shop.root, version="2.0")
    (shop.root / "old.txt").write_text("steady==1.0\nchained==1.0\n")
    (shop.root / "new.txt").write_text("steady==2.0\nchained==1.0\n")
    ended = shop.run()
    assert ended.returncode == ExitCode.ADMISSIBLE, ended.stdout + ended.stderr
    assert "steady==2.0" in ended.stdout
    return shop


def test_both_versions_are_judged_and_served(shop: Workshop):
    packages = shop.verdicts()
    assert {name: (part["project"], part["version"]) for name, part in packages.items()} == {
        "steady": ("steady", "1.0"),
        "steady==2.0": ("steady", "2.0"),
        "chained": ("chained", "1.0"),
    }
    for name, part in packages.items():
        assert part["abis"]["cp314"]["verdict"] == "compatible", name
        assert (shop.wheelhouse / "report" / "packages" / f"{name}.html").exists()

    page = (shop.wheelhouse / "simple" / "steady" / "index.html").read_text()
    for version in ("1.0", "2.0"):
        for abi in ("cp314", "cp314t"):
            assert f"steady-{version}-cp314-{abi}-" in page


def plan_jobs(shop: Workshop) -> dict[str, dict[str, Any]]:
    """Return what `wheelfarm plan --json` says of each job, by its id."""
    planned = subprocess.run(
        shop.command("--json", name="plan"), capture_output=True, text=True, check=False
    )
    return {job["id"]: job for job in json.loads(planned.stdout)["jobs"]}


def test_what_needs_the_project_is_loaded_with_the_newest(shop: Workshop):
    needs = plan_jobs(shop)["load:chained@debian-12/debian-12"]["needs"]
    assert "build:steady==2.0@debian-12" in needs
    assert "build:steady@debian-12" not in needs


def test_each_application_runs_with_the_version_that_it_locks(shop: Workshop):
    document = json.loads((shop.wheelhouse / "verdicts.json").read_text())
    verdicts = {(part["name"], part["abi"]): part["verdict"] for part in document["applications"]}
    # On cp314t an effort of "none" leaves every package unproven.
    assert verdicts == {
        ("old", "cp314"): "ready",
        ("new", "cp314"): "ready",
        ("old", "cp314t"): "ready with risks",
        ("new", "cp314t"): "ready with risks",
    }
    constraints = shop.wheelhouse / "constraints"
    assert "steady==1.0" in (constraints / "applications" / "old-cp314.txt").read_text()
    assert "steady==2.0" in (constraints / "applications" / "new-cp314t.txt").read_text()
    assert "steady>=1.0,<=2.0  # served are 1.0, 2.0" in (constraints / "cp314.txt").read_text()


def test_a_second_version_changes_no_job_of_the_first(shop: Workshop):
    path = shop.root / "matrix.toml"
    text = path.read_text()
    second = '[packages."steady==2.0"]\nsdist = "steady-2.0.tar.gz"\n'
    assert second in text
    path.write_text(text.replace(second, ""))
    jobs = plan_jobs(shop)
    path.write_text(text)
    would_run = {JobId.parse(job).name for job in jobs if not jobs[job]["known"]}
    # What is loaded with the second version is loaded with the first again.
    assert would_run == {"chained"}
    assert jobs["build:steady@debian-12"]["known"]
    assert "nothing changed" in shop.run().stdout
