"""A package that asks for a newer Rust than its base has is built with that of a server in rustup's format.

No such server answers where these tests run, so the "newer" toolchain is made of the base's own: `rustc` and `cargo` are
scripts that run the base's programs and say that they are of version 1.999.0; `rust-std` is one file that nobody reads.
What that does not show is a build by a compiler that is really newer. All else is the way that a real one takes: the
manifest and its sha256, the archives by theirs, the proxy, the program that unpacks, PATH, and cargo's own check of
`rust-version`, which refuses the same sdist with the base's Rust.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.engine.client import Engine
from tests.crate_registry import Registry
from tests.integration.conftest import Workshop
from tests.integration.test_crates import MATRIX, PACKAGE, TINY, cp314, facts_of, write_sdist
from tests.rust_server import TARGET, RustServer, make_archive

VERSION = "1.999.0"
RUSTC = f"""#!/bin/sh
case "$*" in
-V | --version) echo "rustc {VERSION} (0123456789 2026-01-02)" ;;
-vV | "-V -v" | "--version --verbose" | "-v -V")
    /usr/bin/rustc -vV | sed -e 's/^rustc .*/rustc {VERSION} (0123456789 2026-01-02)/' -e 's/^release: .*/release: {VERSION}/' ;;
*) exec /usr/bin/rustc "$@" ;;
esac
"""
CARGO = f"""#!/bin/sh
case "$*" in
-V | --version) echo "cargo {VERSION} (0123456789 2026-01-02)" ;;
*) exec /usr/bin/cargo "$@" ;;
esac
"""
COMPONENTS = {
    "rustc": make_archive("rustc", VERSION, {"bin/rustc": RUSTC}),
    "cargo": make_archive("cargo", VERSION, {"bin/cargo": CARGO}),
    "rust-std": make_archive("rust-std", VERSION, {f"lib/rustlib/{TARGET}/lib/README": "none\n"}),
}
ALLOY = {
    "alloy/_native.c": (
        "#include <Python.h>\n"
        "static PyObject *one(PyObject *self, PyObject *unused) { return PyLong_FromLong(1); }\n"
        'static PyMethodDef methods[] = {{"one", one, METH_NOARGS, ""}, {0}};\n'
        "static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0}};\n"
        'static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_native", .m_methods = methods, .m_slots = slots};\n'
        "PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module); }\n"
    ),
    "setup.py": (
        "from setuptools import Extension, setup\nfrom setuptools_rust import Binding, RustExtension\n"
        'rust = RustExtension("alloy._lib", binding=Binding.NoBinding, cargo_manifest_args=["--locked"])\n'
        'native = Extension("alloy._native", ["alloy/_native.c"])\n'
        'setup(packages=["alloy"], ext_modules=[native], rust_extensions=[rust])\n'
    ),
    "alloy/__init__.py": "from alloy._native import one\n",
}
"""A package of a module in C and a library in Rust."""


@pytest.fixture(scope="module")
def gateway(engine: Engine, images: Workshop) -> Iterator[str]:
    """Make a network of the test's own, which the proxy's container reaches, and give this machine's address on it."""
    assert images
    network = engine._client.networks.create(
        f"wheelfarm-tests-rust-{os.getpid()}", labels={"wheelfarm.farm": engine.farm_id}
    )
    network.reload()
    try:
        yield network.attrs["IPAM"]["Config"][0]["Gateway"]
    finally:
        network.remove()


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def done(
    gateway: str, hashes: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Workshop:
    """Run once: a package whose Rust the server has, one whose Rust it lacks, and one whose archive is another."""
    shop = Workshop(root=tmp_path_factory.mktemp("toolchains"))
    names = {"futurist": VERSION, "lacking": "1.998.0", "tampered": "1.997.0"}
    shop.write(MATRIX + "".join(PACKAGE.replace("NAME", name) for name in names))

    registry, rust = Registry(), RustServer()
    sha256 = registry.add("tiny", "0.1.0", TINY)
    hashes |= rust.add(VERSION, COMPONENTS)
    # With bytes of its own: files are kept by their sha256, and the proxy asks for none that it has.
    rust.add("1.997.0", {name: make_archive(name, "1.997.0", {"bin/a": ""}) for name in COMPONENTS})
    rust.files[f"/dist/2026-01-02/cargo-1.997.0-{TARGET}.tar.xz"] = b"something else"
    for name, version in names.items():
        write_sdist(name, "tiny", sha256, shop.root, rust_version=version)

    with registry.serve(gateway) as crates_url, rust.serve(gateway) as rust_url:
        host = rust_url.removeprefix("http://")
        ended = shop.run(
            WHEELFARM_CARGO_REGISTRY=f"sparse+{crates_url}",
            WHEELFARM_RUSTUP_DIST_SERVER=f"http://me:secret@{host}",
        )
    assert (shop.wheelhouse / "verdicts.json").exists(), ended.stdout + ended.stderr
    assert "secret" not in ended.stdout + ended.stderr
    return shop


def test_what_asks_for_a_newer_rust_than_the_base_has_is_built_with_that_of_the_server(
    done: Workshop, hashes: dict[str, str]
):
    abi = cp314(done, "futurist")
    assert abi["verdict"] == "compatible", abi["reason"]
    (wheel,) = abi["wheels"]
    assert wheel["rust"] == VERSION

    facts = facts_of(done, "build:futurist@debian-12")
    assert facts["rust"] == VERSION
    fetched = {file["filename"]: file["sha256"] for file in facts["fetched"]}
    assert hashes.items() <= fetched.items()
    for sha256 in hashes.values():
        assert (done.wheelhouse / "store/index/files" / sha256[:2] / sha256).exists()


def test_a_server_without_the_release_is_told_with_both_versions_and_what_was_asked(done: Workshop):
    abi = cp314(done, "lacking")
    assert abi["verdict"] == "build-failure"
    (finding, *_) = abi["findings"]
    assert (
        "requires rustc 1.998.0" in finding["detail"] or "requires rustc 1.998" in finding["detail"]
    )
    assert "dist/channel-rust-1.998.0.toml answered 404" in finding["detail"]
    assert "secret" not in str(finding)
    assert "WHEELFARM_RUSTUP_DIST_SERVER" in finding["remedy"]


def test_an_archive_that_is_not_the_one_of_the_manifest_is_refused(done: Workshop):
    abi = cp314(done, "tampered")
    assert abi["verdict"] == "undetermined"
    assert "the sha256 of what the server gave is" in abi["reason"]
    assert "requires rustc" not in abi["reason"]


def test_the_same_toolchain_is_there_again_without_the_server(done: Workshop):
    ended = done.run(
        "--locked",
        "--again",
        "--only",
        "futurist",
        WHEELFARM_CARGO_REGISTRY="http://127.0.0.1:9/",
        WHEELFARM_RUSTUP_DIST_SERVER="http://127.0.0.1:9/",
    )
    assert "ok     build:futurist@debian-12" in ended.stdout, ended.stdout + ended.stderr
    facts = facts_of(done, "build:futurist@debian-12")
    assert facts["rust"] == VERSION
    assert all(not members for members in facts["rebuilt"].values())


def test_the_race_detectors_compilation_gets_the_same_toolchain_and_crates(
    gateway: str, tmp_path: Path
):
    shop = Workshop(root=tmp_path)
    shop.write(
        MATRIX
        + '[packages.alloy]\nsdist = "alloy-1.0.tar.gz"\nskip = { cp314 = "one is enough" }\n'
    )
    registry, rust = Registry(), RustServer()
    sha256 = registry.add("tiny", "0.1.0", TINY)
    hashes = rust.add(VERSION, COMPONENTS)
    write_sdist("alloy", "tiny", sha256, shop.root, rust_version=VERSION, more=ALLOY)

    with registry.serve(gateway) as crates_url, rust.serve(gateway) as rust_url:
        ended = shop.run(
            WHEELFARM_EFFORT="quick",
            WHEELFARM_CARGO_REGISTRY=f"sparse+{crates_url}",
            WHEELFARM_RUSTUP_DIST_SERVER=rust_url,
        )
    assert (shop.wheelhouse / "verdicts.json").exists(), ended.stdout + ended.stderr
    facts = facts_of(shop, "race:alloy@debian-12")
    assert facts["failure"] is None
    assert facts["race_wheel"].startswith("alloy-1.0-")
    fetched = {file["filename"]: file["sha256"] for file in facts["fetched"]}
    assert hashes.items() <= fetched.items()
    assert fetched["tiny-0.1.0.crate"] == sha256
