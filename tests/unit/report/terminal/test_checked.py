"""What `wheelfarm check` says of wheels: its JSON, and where they were not loaded."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console
from typer.testing import CliRunner

from builder.check import load, read
from builder.cli.main import app
from builder.config import catalog
from builder.errors import EngineMissingError, ExitCode
from builder.evidence.load import AbiLoad
from builder.judge.findings import Finding
from builder.report.documents.check import CheckDocument, make_check_document
from builder.report.documents.part import make_schema
from builder.report.terminal import checked
from tests import planted
from tests.unit.judge.wheel.test_rules import wheel

TABLE = catalog.load()
BASES = tuple(base for base in TABLE.bases.values() if base.enabled)
SCHEMA = json.loads(make_schema(CheckDocument))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def facts(**more: Any) -> AbiLoad:
    gil = {"before": False, "after": False, "enabled_by": None, "warned": False}
    probe = {
        "module": "planted",
        "native": False,
        "gil": gil,
        "natives": {},
        "seconds": 0.02,
        "rss_bytes": 1_500_000,
    }
    return AbiLoad.model_validate(
        {
            "wheel": "planted-1.0-cp314-cp314t-linux_x86_64.whl",
            "claimed": True,
            "missing": [],
            "modules": [{**probe, **more}],
        }
    )


def loaded(path: Path) -> read.CheckedWheel:
    one = read.check_wheel(path)
    crash = Finding(
        code="WF403", detail="it dies", where="planted", bases=("debian-12",), log="logs/load/x.log"
    )
    return read.CheckedWheel(
        path=one.path, facts=one.facts, findings=read.sort_findings((*one.findings, crash)), floors=one.floors,
        abis=one.abis, bases=one.bases,
        loaded=(read.LoadResult(abi="cp314t", base="debian-12", facts=facts()),),
        not_loaded=(
            read.SkippedLoad(abi="cp314t", base="debian-13", reason="the archive is silent"),
            read.SkippedLoad(abi="cp314t", base="ubuntu-24.04", reason="the archive is silent"),
        ),
    )  # fmt: skip


def test_json_fits_the_published_schema(tmp_path: Path):
    broken = tmp_path / "planted-2.0-py3-none-any.whl"
    broken.write_bytes(b"no")
    answer = json.loads(run("--static", "--json", wheel(tmp_path), broken).stdout)
    jsonschema.validate(answer, SCHEMA)
    assert answer["static"] is True
    assert [one["severity"] for one in answer["wheels"]] == [None, "error"]


def test_json_of_a_loaded_wheel_fits_the_published_schema(tmp_path: Path):
    document = json.loads(
        make_check_document([loaded(wheel(tmp_path))], static=False).model_dump_json()
    )
    jsonschema.validate(document, SCHEMA)
    (one,) = document["wheels"]
    assert one["loaded"][0]["facts"]["modules"][0]["rss_bytes"] == 1_500_000
    assert one["findings"][0]["log"] == "logs/load/x.log"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "surprise": 1}, SCHEMA)


def test_a_loaded_wheel_is_shown_with_what_that_took_and_where_it_was_not(tmp_path: Path):
    shown = io.StringIO()
    checked.render([loaded(wheel(tmp_path))], Console(width=200, file=shown))
    text = shown.getvalue()
    assert "cp314t on debian-12, planted in 20 ms at most and 1.5 MB, the GIL stays off" in text
    assert "cp314t on debian-13, cp314t on ubuntu-24.04: the archive is silent" in text
    assert (
        "1 wheel read, and loaded on debian-12: 1 with errors, 0 with warnings only, 1 not loaded everywhere"
        in text
    )


@pytest.mark.usefixtures("nowhere")
def test_without_an_engine_wheels_are_read_and_that_is_said(tmp_path: Path):
    ended = run("--json", wheel(tmp_path))
    assert ended.exit_code == ExitCode.ADMISSIBLE
    assert "only read, not loaded: no container engine answers" in ended.stderr
    answer = json.loads(ended.stdout)
    jsonschema.validate(answer, SCHEMA)
    places = {(one["abi"], one["base"]) for one in answer["wheels"][0]["not_loaded"]}
    assert places == {(abi, base.name) for abi in ("cp314", "cp314t") for base in BASES}
    assert "make engine" in answer["wheels"][0]["not_loaded"][0]["reason"]
    shown = run(wheel(tmp_path)).stdout
    assert "not loaded" in shown
    assert "1 wheel read, not loaded: no errors" in shown


@pytest.mark.usefixtures("nowhere")
def test_whoever_insists_on_loading_is_told_that_it_cannot_be(tmp_path: Path):
    ended = run("--load", wheel(tmp_path))
    assert isinstance(ended.exception, EngineMissingError)
    assert ended.exception.exit_code == ExitCode.ENGINE


@pytest.mark.usefixtures("nowhere")
def test_a_matrix_says_for_which_bases_and_interpreters(tmp_path: Path):
    matrix = tmp_path / "matrix.toml"
    matrix.write_text('[farm]\nbases = ["debian-13"]\nabis = ["cp314t"]\n[packages.foo]\n')
    (one,) = json.loads(run("--json", "--matrix", matrix, wheel(tmp_path)).stdout)["wheels"]
    assert one["bases"] == ["debian-13"]
    assert [(place["abi"], place["base"]) for place in one["not_loaded"]] == [
        ("cp314t", "debian-13")
    ]


@pytest.mark.parametrize(
    "platform", ["musllinux_1_2_x86_64", "manylinux_2_28_aarch64", "macosx_11_0_arm64"]
)
def test_a_wheel_for_another_platform_claims_no_base(tmp_path: Path, platform: str):
    path = tmp_path / planted.name_of(platform=platform)
    path.write_bytes(planted.pack(planted.members(b"\x7fELF", tags=(f"cp314-cp314-{platform}",))))
    found = read.check_wheel(path)
    assert found.bases == ()
    assert load.skip_loads(found, BASES, tuple(TABLE.abis.values()), "why") == ()
