"""One matrix with everything that can be wrong with a package at once, and good packages beside it."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from builder.engine.client import Engine
from builder.errors import ExitCode
from builder.report.documents.part import make_schema
from builder.report.documents.verdicts_json import Document
from tests.integration.conftest import DEBIAN, Workshop, containers_of

MATRIX = (
    DEBIAN
    + f"""
[packages.steady]
sdist = "steady-1.0.tar.gz"
[packages.chained]
sdist = "chained-1.0.tar.gz"
[packages.parchment]
sdist = "parchment-1.0.tar.gz"
[packages.pilgrim]
sdist = "pilgrim-1.0.tar.gz"
[packages.nosy]
sdist = "nosy-1.0.tar.gz"
[packages.thirsty]
sdist = "thirsty-1.0.tar.gz"
[packages.latchkey]
sdist = "latchkey-1.0.tar.gz"
[packages.bundle]
sdist = "bundle-1.0.tar.gz"
[packages.crooked]
sdist = "crooked-1.0.tar.gz"
[packages.soft]
sdist = "soft-1.0.tar.gz"
[packages.endless]
sdist = "endless-1.0.tar.gz"
timeout_s = 20
[packages.glutton]
sdist = "glutton-1.0.tar.gz"
memory = "256m"
[packages.rabbits]
sdist = "rabbits-1.0.tar.gz"
timeout_s = 120
[packages.forged]
sdist = "steady-1.0.tar.gz"
sha256 = "{"0" * 64}"
[packages.torch]
[packages.wheelfarm-has-no-such-dependency]
[packages.idna]
"""
)
LOCAL = [
    "steady", "chained", "parchment", "pilgrim", "nosy", "thirsty", "latchkey", "bundle", "crooked", "soft", "endless",
    "glutton", "rabbits",
]  # fmt: skip


@pytest.fixture(scope="module")
def done(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("every"))
    shop.write(MATRIX, *LOCAL)
    ended = shop.run(WHEELFARM_TEST_SECRET="seen by no build")
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    (shop.root / "output.txt").write_text(ended.stdout)
    return shop


@pytest.mark.parametrize(
    ("name", "cp314", "cp314t", "words"),
    [
        ("steady", "compatible", "unproven", "imports on debian-12, debian-13"),
        ("chained", "compatible", "unproven", "imports on debian-12, debian-13"),
        ("nosy", "compatible", "unproven", "imports on debian-12, debian-13"),
        ("idna", "compatible", "compatible", "pure Python"),
        ("parchment", "compatible", "compatible", "pure Python, built as any, imports on"),
        ("docopt", "compatible", "compatible", "pure Python, built as any, imports on"),
        ("pilgrim", "compatible", "unproven", "imports on debian-12, debian-13"),
        ("latchkey", "compatible", "gil-required", "importing latchkey turns the GIL back on"),
        ("bundle", "compatible", "gil-required", "bundle._late"),
        ("crooked", "build-failure", "build-failure", "undeclared_thing"),
        ("thirsty", "build-failure", "build-failure", "expat.h"),
        ("soft", "build-failure", "build-failure", "this compiler is not good enough"),
        ("endless", "build-failure", "build-failure", "did not end within 20 s"),
        ("glutton", "build-failure", "build-failure", "more than the 256 MiB of memory"),
        ("rabbits", "build-failure", "build-failure", "more than the 512 processes"),
        ("forged", "build-failure", "build-failure", "the matrix wants 0000"),
        ("torch", "build-failure", "build-failure", "no sdist"),
        (
            "wheelfarm-has-no-such-dependency",
            "build-failure",
            "build-failure",
            "knows no such name",
        ),
    ],
)
def test_each_has_its_own_verdict_and_a_reason(
    done: Workshop, name: str, cp314: str, cp314t: str, words: str
):
    abis = done.verdicts()[name]["abis"]
    assert (abis["cp314"]["verdict"], abis["cp314t"]["verdict"]) == (cp314, cp314t)
    assert words in abis["cp314t"]["reason"]


def test_the_document_follows_the_published_schema(done: Workshop):
    written = json.loads((done.wheelhouse / "verdicts.json").read_text())
    jsonschema.validate(written, json.loads(make_schema(Document)))


def test_every_fault_of_a_build_has_a_log_and_a_remedy(done: Workshop):
    for name in ("crooked", "thirsty", "endless", "glutton", "rabbits"):
        (finding, *_) = done.verdicts()[name]["abis"]["cp314t"]["findings"]
        assert (done.wheelhouse / finding["log"]).stat().st_size > 0
        assert finding["remedy"]
        assert finding["bases"] == ["debian-12"]


def test_the_terminal_ends_with_the_table(done: Workshop):
    output = (done.root / "output.txt").read_text()
    assert "verdict" in output
    assert "\x1b[" not in output  # piped: plain lines
    for name in ("steady", "endless", "torch"):
        assert name in output


def test_the_index_holds_what_no_fault_was_shown_of(done: Workshop):
    root = done.wheelhouse / "simple"
    projects = sorted(path.name for path in root.iterdir() if path.is_dir())
    assert projects == [
        "bundle", "chained", "docopt", "idna", "latchkey", "nosy", "parchment", "pilgrim", "steady",
    ]  # fmt: skip
    assert len(list((root / "steady").glob("*.whl"))) == 2
    for name in ("docopt", "parchment"):
        (wheel,) = (root / name).glob("*.whl")
        assert wheel.name.endswith("-none-any.whl")


def test_no_container_is_left(done: Workshop, engine: Engine):
    assert containers_of(engine, done.farm_id()) == []


def test_a_second_run_starts_no_container_and_says_the_same(done: Workshop, engine: Engine):
    before = done.verdicts()
    began = datetime.datetime.now(datetime.UTC)
    ended = done.run()
    assert ended.returncode == ExitCode.FAULTS
    assert "0 to run" in ended.stdout
    assert done.verdicts() == before
    events = engine._client.events(
        since=began, until=datetime.datetime.now(datetime.UTC), decode=True,
        filters={"type": "container", "event": "create", "label": f"wheelfarm.farm={done.farm_id()}"},
    )  # fmt: skip
    assert list(events) == []


def _deciding(abi: dict[str, Any]) -> str:
    """Return the code of the finding that decided, or the verdict where only infos were found."""
    codes = [finding["code"] for finding in abi["findings"] if finding["severity"] != "info"]
    return str(codes[0] if codes else abi["verdict"])


def test_patches_system_packages_and_settings_reach_the_build(done: Workshop, tmp_path: Path):
    shop = Workshop(root=tmp_path)
    shop.write(
        DEBIAN + """
        [packages.crooked]
        sdist = "crooked-1.0.tar.gz"
        patches = ["declare.patch"]
        [packages.thirsty]
        sdist = "thirsty-1.0.tar.gz"
        apt = { debian = ["libexpat1-dev"] }
        env = { CFLAGS = "-DA='b c'" }
        skip = { cp314t = "not asked for" }
        [packages.steady]
        sdist = "steady-1.0.tar.gz"
        apt = ["there-is-no-such-package"]
        [packages.nosy]
        sdist = "nosy-1.0.tar.gz"
        patches = ["declare.patch"]
        [packages.latchkey]
        sdist = "latchkey-1.0.tar.gz"
        patches = ["missing.patch"]
        """,
        "crooked", "thirsty", "steady", "nosy", "latchkey",
    )  # fmt: skip
    (tmp_path / "declare.patch").write_text(
        (Path(__file__).parents[1] / "corpus/crooked/declare.patch").read_text()
    )
    ended = shop.run()
    verdicts = shop.verdicts()
    found = {
        name: [_deciding(abi) for abi in package["abis"].values()]
        for name, package in verdicts.items()
    }
    assert found == {
        "crooked": ["compatible", "unproven"],
        "thirsty": ["compatible", "WF209"],
        "steady": ["WF207", "WF207"],
        "nosy": ["WF208", "WF208"],
        "latchkey": ["WF108", "WF108"],
    }, ended.stdout
    assert "there-is-no-such-package" in verdicts["steady"]["abis"]["cp314"]["reason"]
    log = next((shop.wheelhouse / "logs" / "build").glob("thirsty*")).read_text()
    assert "-DA=b c" in log
