"""Applications, installed from the farm's index alone, imported and run: the answer of each, and the way out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builder.errors import ExitCode
from tests.integration.conftest import Workshop

PACKAGES = ("pebble", "saffron", "quarry")
MATRIX = """
[farm]
bases = ["debian-12"]
[packages.pebble]
sdist = "pebble-1.0.tar.gz"
[packages.saffron]
sdist = "saffron-1.0.tar.gz"
[packages.quarry]
sdist = "quarry-1.0.tar.gz"

[applications.shop]
lock = "shop.txt"
files = ["shop"]
env = { SHOP = "open" }
smoke = ["python -c 'import os, pebble, saffron; assert os.environ[\\"SHOP\\"] == \\"open\\"'", "python shop/main.py"]

[applications.mine]
lock = "mine.txt"

[applications.careless]
lock = "shop.txt"
smoke = ["python -c 'import sys; sys.exit(\\"out of stock\\")'"]

[applications.vague]
lock = "vague.txt"

[applications.planting]
lock = "planting.txt"
smoke = [
    "(setsid sh -c 'while :; do touch /tmp/tmp*/planted; sleep 0.1; done' >/dev/null 2>&1 &); touch $HOME/kept",
    "sleep 1; test -z \\"$(ls -A $HOME)\\"",
]
"""


@pytest.fixture(scope="module")
def shop(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("applications"))
    shop.write(MATRIX, *PACKAGES)
    (shop.root / "shop").mkdir()
    (shop.root / "shop" / "main.py").write_text("import pebble\n")
    (shop.root / "shop.txt").write_text("pebble==1.0\nsaffron==1.0\n")
    (shop.root / "mine.txt").write_text("pebble==1.0\nquarry==1.0\n")
    (shop.root / "vague.txt").write_text("pebble\n")
    (shop.root / "planting.txt").write_text("pebble==1.0\n")
    ended = shop.run()
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    return shop


@pytest.fixture
def answers(shop: Workshop) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what verdicts.json has of applications, by name and ABI."""
    document = json.loads((shop.wheelhouse / "verdicts.json").read_text())
    return {(part["name"], part["abi"]): part for part in document["applications"]}


def test_what_installs_and_runs_is_ready(answers: dict[tuple[str, str], dict[str, Any]]):
    assert answers["shop", "cp314"]["verdict"] == "ready"
    assert answers["shop", "cp314"]["packages"] == 2


def test_the_gil_of_the_whole_process_is_looked_at_in_the_end(
    answers: dict[tuple[str, str], dict[str, Any]],
):
    part = answers["shop", "cp314t"]
    assert part["verdict"] == "ready with risks"
    assert any("turns the GIL on for the whole process" in risk["what"] for risk in part["risks"])


def test_a_package_that_cannot_be_imported_blocks(
    answers: dict[tuple[str, str], dict[str, Any]],
):
    for abi in ("cp314", "cp314t"):
        (blocker,) = answers["mine", abi]["blockers"]
        assert blocker["package"] == "quarry"
        assert "import-failure" in blocker["what"]
        assert blocker["ways_out"]
        # The public index may have a package of this name: it is not the one with the local sdist.
        assert not any("which is newer" in way for way in blocker["ways_out"])


def test_a_command_that_fails_blocks_with_what_it_printed(
    answers: dict[tuple[str, str], dict[str, Any]],
):
    assert "ended with exit code 1: out of stock" in answers["careless", "cp314"]["reason"]


def test_a_command_finds_nothing_of_another_one_in_its_home(
    answers: dict[tuple[str, str], dict[str, Any]],
):
    """Not even of one that left a process which writes wherever it can."""
    assert answers["planting", "cp314"]["verdict"] == "ready", answers["planting", "cp314"]


def test_a_lock_that_leaves_a_release_open_blocks_its_application_alone(
    answers: dict[tuple[str, str], dict[str, Any]],
):
    assert "leaves the release of pebble open" in answers["vague", "cp314"]["reason"]


def test_the_requirements_of_an_application_install_from_the_index_with_hashes(shop: Workshop):
    text = (shop.wheelhouse / "constraints" / "applications" / "shop-cp314t.txt").read_text()
    assert text.count("--hash=sha256:") == 2
    missing = shop.wheelhouse / "constraints" / "applications" / "mine-cp314.txt"
    assert "# not served: quarry==1.0" in missing.read_text()


def test_the_command_app_tells_the_same_and_exits_with_1_where_one_is_blocked(shop: Workshop):
    import os
    import subprocess

    command = shop.command("mine", name="app")
    command = [part for part in command if part != "--matrix" and not part.endswith("matrix.toml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert ended.returncode == ExitCode.FAULTS
    assert "blocked by  quarry: quarry 1.0 is import-failure on cp314" in ended.stdout


def test_nothing_runs_again_where_nothing_changed_and_a_changed_lock_is_seen(shop: Workshop):
    again = shop.run()
    assert "nothing changed" in again.stdout
    assert again.returncode == ExitCode.FAULTS

    (shop.root / "vague.txt").write_text("pebble==1.0\n")
    changed = shop.run()
    assert "nothing changed" not in changed.stdout
    document = json.loads((shop.wheelhouse / "verdicts.json").read_text())
    verdicts = {part["verdict"] for part in document["applications"] if part["name"] == "vague"}
    assert verdicts == {"ready", "ready with risks"}
