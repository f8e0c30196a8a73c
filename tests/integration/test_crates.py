"""Builds of packages written in Rust have crates from a registry, by way of the farm's proxy and by their sha256 alone."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.config import catalog
from builder.engine.client import Engine
from builder.errors import ExitCode
from tests.crate_registry import Registry, make_crate
from tests.integration.conftest import Workshop

MATRIX = """
[farm]
bases = ["debian-12"]
build-on = ["debian-12"]
"""
PACKAGE = """
[packages.NAME]
sdist = "NAME-1.0.tar.gz"
skip = { cp314t = "one is enough" }
"""
TINY = make_crate("tiny", "0.1.0", {"src/lib.rs": "pub fn answer() -> i32 { 42 }\n"})
OTHER = make_crate("other", "0.1.0", {"src/lib.rs": "pub fn answer() -> i32 { 43 }\n"})
LOCK = """\
version = 3

[[package]]
name = "NAME"
version = "1.0.0"
dependencies = ["CRATE"]

[[package]]
name = "CRATE"
version = "0.1.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "SHA256"
"""


def write_sdist(
    name: str,
    crate: str,
    sha256: str,
    folder: Path,
    *,
    rust_version: str = "1.56",
    more: Mapping[str, str] | None = None,
) -> None:
    """Write the sdist of a package that is a library in Rust, locked to one crate; `more` has further files."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": (
            '[build-system]\nrequires = ["setuptools>=77", "setuptools-rust"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n'
        ),
        "setup.py": (
            "from setuptools import setup\nfrom setuptools_rust import Binding, RustExtension\n"
            f'extension = RustExtension("{name}._lib", binding=Binding.NoBinding, cargo_manifest_args=["--locked"])\n'
            f'setup(packages=["{name}"], rust_extensions=[extension])\n'
        ),
        "Cargo.toml": (
            f'[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n'
            f'rust-version = "{rust_version}"\n[lib]\ncrate-type = ["cdylib"]\n'
            f'[dependencies]\n{crate} = "0.1"\n'
        ),
        "Cargo.lock": LOCK.replace("NAME", name).replace("CRATE", crate).replace("SHA256", sha256),
        "src/lib.rs": f'#[no_mangle]\npub extern "C" fn answer() -> i32 {{ {crate}::answer() }}\n',
        f"{name}/__init__.py": (
            "import ctypes, pathlib\n"
            "_path = next(pathlib.Path(__file__).parent.glob('_lib*.so'))\n"
            "answer = ctypes.CDLL(str(_path)).answer\nassert answer() == 42\n"
        ),
        **(more or {}),
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-1.0/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def registry(engine: Engine, images: Workshop) -> Iterator[Registry]:
    """Serve a registry on a network of the test's own, which the proxy's container reaches."""
    assert images
    network = engine._client.networks.create(
        f"wheelfarm-tests-crates-{os.getpid()}", labels={"wheelfarm.farm": engine.farm_id}
    )
    network.reload()
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    registry = Registry()
    try:
        with registry.serve(gateway):
            yield registry
    finally:
        network.remove()


@pytest.fixture(scope="module")
def done(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Run once: on a crate that is as the index lists it, one that is not, one that the registry lacks, and old Rust."""
    shop = Workshop(root=tmp_path_factory.mktemp("crates"))
    names = ("ferrous", "tampered", "lacking", "futurist")
    shop.write(MATRIX + "".join(PACKAGE.replace("NAME", name) for name in names))
    write_sdist("ferrous", "tiny", registry.add("tiny", "0.1.0", TINY), shop.root)
    promised = registry.add("other", "0.1.0", b"something else", promised=OTHER)
    write_sdist("tampered", "other", promised, shop.root)
    write_sdist("lacking", "nowhere", promised, shop.root)
    sha256 = hashlib.sha256(TINY).hexdigest()
    write_sdist("futurist", "tiny", sha256, shop.root, rust_version="1.999")

    ended = shop.run(WHEELFARM_CARGO_REGISTRY=f"sparse+{registry.url}")
    assert (shop.wheelhouse / "verdicts.json").exists(), ended.stdout + ended.stderr
    return shop


def cp314(shop: Workshop, name: str) -> dict[str, Any]:
    abi: dict[str, Any] = shop.verdicts()[name]["abis"]["cp314"]
    return abi


def facts_of(shop: Workshop, job: str) -> dict[str, Any]:
    with sqlite3.connect(shop.wheelhouse / "store/ledger.sqlite") as database:
        query = "SELECT facts FROM evidence WHERE job = ? ORDER BY recorded_at DESC LIMIT 1"
        row = database.execute(query, (job,)).fetchone()
    database.close()
    found: dict[str, Any] = json.loads(row[0])
    return found


def test_a_locked_crate_comes_from_the_registry_and_is_recorded_by_its_sha256(done: Workshop):
    assert cp314(done, "ferrous")["verdict"] == "compatible", cp314(done, "ferrous")["reason"]
    facts = facts_of(done, "build:ferrous@debian-12")
    sha256 = hashlib.sha256(TINY).hexdigest()
    assert {"filename": "tiny-0.1.0.crate", "sha256": sha256} in facts["fetched"]
    assert facts["asked"] == []
    kept = done.wheelhouse / "store/index/files" / sha256[:2] / sha256
    assert kept.read_bytes() == TINY


def test_a_crate_that_is_not_the_one_the_index_lists_is_refused(done: Workshop):
    abi = cp314(done, "tampered")
    assert abi["verdict"] == "undetermined"
    assert "WF106" in [finding["code"] for finding in abi["findings"]]
    assert "other 0.1.0: the sha256 of what the registry gave is" in abi["reason"]


def test_a_crate_that_the_registry_does_not_have_is_named(done: Workshop):
    (finding, *_) = cp314(done, "lacking")["findings"]
    assert finding["code"] == "WF225"
    assert "the registry of crates has no crate nowhere" in finding["detail"]
    assert "WHEELFARM_CARGO_REGISTRY" in finding["remedy"]


def test_a_base_whose_rust_is_too_old_is_told_with_both_versions(done: Workshop):
    base = catalog.load().bases["debian-12"]
    assert base.rust is not None
    (finding, *_) = cp314(done, "futurist")["findings"]
    assert "requires rustc 1.999" in finding["detail"]
    assert f"rustc {base.rust.version}." in finding["detail"]
    assert "`build-on` in [farm]" in finding["remedy"]


def test_the_same_crates_are_there_again_without_the_registry(done: Workshop):
    """Locked, with another address for the registry, at which nobody answers; built again all the same."""
    ended = done.run("--locked", "--again", WHEELFARM_CARGO_REGISTRY="http://127.0.0.1:9/")
    assert "ok     build:ferrous@debian-12" in ended.stdout, ended.stdout + ended.stderr
    facts = facts_of(done, "build:ferrous@debian-12")
    assert facts["rebuilt"]
    assert all(not members for members in facts["rebuilt"].values())
    assert "tiny-0.1.0.crate" in [file["filename"] for file in facts["fetched"]]


def test_without_a_registry_the_verdict_says_so_and_what_to_do(
    images: Workshop, workshop: Workshop, tmp_path: Path
):
    assert images
    workshop.write(MATRIX + PACKAGE.replace("NAME", "ferrous"))
    write_sdist("ferrous", "tiny", "0" * 64, workshop.root)
    ended = workshop.run(WHEELFARM_CARGO_REGISTRY="", CARGO_HOME=str(tmp_path / "no-cargo"))
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    abi = cp314(workshop, "ferrous")
    (finding, *_) = abi["findings"]
    assert (abi["verdict"], finding["code"]) == ("build-failure", "WF225")
    assert "the crate tiny, which ferrous v1.0.0" in finding["detail"]
    assert "no registry of crates answers the build" in finding["detail"]
    assert "`cargo vendor`" in finding["remedy"]
