"""What the doctor says of a machine, on tables and folders that stand for one."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from builder.farm import doctor
from builder.farm.doctor import Check
from tests.rust_server import RustServer


def render(*checks: Check) -> str:
    stream = io.StringIO()
    doctor.render(list(checks), Console(file=stream, width=100))
    return stream.getvalue()


def test_what_is_missing_comes_with_its_remedy():
    text = render(
        Check(name="disk", ok=True, found="90 GiB free"),
        Check(name="engine", ok=False, found="none answers", remedy="make engine"),
        Check(name="memory", ok=False, found="2 GiB", remedy="lower it", required=False),
    )
    assert "MISSING  engine" in text
    assert "no       memory" in text
    assert "\nengine: make engine\n" in text
    assert "\nmemory: lower it\n" in text
    assert "can run the farm" not in text


def test_a_machine_that_lacks_nothing_is_told_so():
    assert "This machine can run the farm." in render(Check(name="disk", ok=True, found="enough"))


def test_the_disk_of_a_wheelhouse_that_is_not_there_yet_is_checked(tmp_path: Path):
    checks = {check.name: check for check in doctor._check_machine(tmp_path / "not/yet/there")}
    assert checks["disk"].found.endswith(f"free at {tmp_path}")


def test_without_an_engine_the_remedy_is_one_command(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (engine,) = doctor._check_engine()
    assert (engine.ok, engine.required, engine.remedy) == (False, True, "make engine")


def test_an_index_that_does_not_answer_is_no_traceback(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    check = doctor._check_url("index", "http://127.0.0.1:9/simple/", "look", required=True)
    assert (check.ok, check.remedy) == (False, "look")
    assert check.found.startswith("does not answer (")


RUST_VARIABLES = (
    "WHEELFARM_CARGO_REGISTRY",
    "WHEELFARM_CARGO_TOKEN",
    "WHEELFARM_RUSTUP_DIST_SERVER",
    "RUSTUP_DIST_SERVER",
)


def test_where_crates_and_rust_come_from_is_told(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("CARGO_HOME", str(tmp_path))
    for name in RUST_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    crates, rust = doctor._check_crate_registry(), doctor._check_toolchain_server()
    assert (crates.ok, rust.ok) == (True, True)
    assert "none set (WHEELFARM_CARGO_REGISTRY" in crates.found
    assert "none set (WHEELFARM_RUSTUP_DIST_SERVER" in rust.found

    server = RustServer()
    server.files["/dist/channel-rust-stable.toml.sha256"] = b"0"
    with server.serve() as url:
        host = url.removeprefix("http://")
        monkeypatch.setenv("WHEELFARM_CARGO_REGISTRY", f"sparse+http://me:secret@{host}index/")
        monkeypatch.setenv("WHEELFARM_CARGO_TOKEN", "known")
        monkeypatch.setenv("WHEELFARM_RUSTUP_DIST_SERVER", f"http://me:secret@{host}")
        crates, rust = doctor._check_crate_registry(), doctor._check_toolchain_server()
        assert (crates.ok, rust.ok) == (False, True)
        assert crates.found == f"{url}index/config.json answers with status 404"
        assert rust.found == f"{url}dist/channel-rust-stable.toml.sha256 answers"
        assert server.asked[-1][1] == "Basic bWU6c2VjcmV0"

    rust = doctor._check_toolchain_server()
    assert (rust.ok, rust.required) == (False, False)
    assert rust.found.endswith("does not answer (ConnectionError)")
    assert "secret" not in f"{crates.record()}{rust.record()}"


@pytest.mark.parametrize(
    ("version", "is_fixed"),
    [
        ((3, 11, 12), False),
        ((3, 11, 13), True),
        ((3, 12, 10), False),
        ((3, 12, 11), True),
        ((3, 13, 3), False),
        ((3, 13, 4), True),
        ((3, 14, 0), True),
        ((3, 10, 99), False),
    ],
)
def test_a_python_without_the_fixes_of_tarfile_is_told(
    version: tuple[int, int, int], *, is_fixed: bool
):
    assert doctor._has_tarfile_fixes(version) is is_fixed
