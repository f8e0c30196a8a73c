"""Which Rust an sdist asks for."""

from pathlib import Path

import pytest

from builder.sources.rust_versions import parse_rust_version, read_rust_version
from tests.unit.local_index import archive


def read(tmp_path: Path, files: dict[str, str]) -> str:
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(
        archive("tar.gz", {f"foo-1.0/{name}": text.encode() for name, text in files.items()})
    )
    return read_rust_version(path, path.name)


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, ""),
        ({"Cargo.toml": '[package]\nname = "foo"\n'}, ""),
        ({"Cargo.toml": '[package]\nrust-version = "1.90"\n'}, "1.90.0"),
        ({"Cargo.toml": '[package]\nrust-version = "1.90.2"\nedition = "2024"\n'}, "1.90.2"),
        ({"Cargo.toml": '[package]\nedition = "2024"\n'}, "1.85.0"),
        ({"Cargo.toml": '[package]\nrust-version = "1.80"\nedition = "2024"\n'}, "1.85.0"),
        ({"Cargo.toml": '[workspace.package]\nrust-version = "1.99"\n',
          "src/rust/Cargo.toml": '[package]\nrust-version.workspace = true\nedition.workspace = true\n'}, "1.99.0"),
        ({"src/rust/Cargo.toml": '[package]\nrust-version = "1.91"\n'}, "1.91.0"),
        # Crates that are brought along are cargo's business, and so is what is built for no wheel.
        ({"include/cargo/pyo3/Cargo.toml": '[package]\nrust-version = "1.91"\n', "include/cargo/pyo3/.cargo-checksum.json": "{}"}, ""),
        ({"vendor/pyo3/Cargo.toml": '[package]\nrust-version = "1.91"\n'}, ""),
        ({"fuzz/Cargo.toml": '[package]\nrust-version = "1.91"\n'}, ""),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "1.92"\n'}, "1.92.0"),
        ({"rust-toolchain": "1.92.1\n"}, "1.92.1"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "1.92"\n', "Cargo.toml": '[package]\nrust-version = "1.93"\n'}, "1.93.0"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "nightly-2026-01-02"\n'}, ""),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "stable"\n'}, ""),
        ({"rust-toolchain.toml": "toolchain = 1\n"}, ""),
        ({"tests/rust-toolchain.toml": '[toolchain]\nchannel = "1.92"\n'}, ""),
        ({"Cargo.toml": "no TOML"}, ""),
        ({"Cargo.toml": "a = " + "[" * 10_000}, ""),
        ({"Cargo.toml": "package = 1\nworkspace = []\n"}, ""),
        ({"Cargo.toml": '[package]\nrust-version = "1.2.3.4"\nedition = 2024\n'}, ""),
        ({"Cargo.toml": '[package]\nrust-version = "1.../../9"\n'}, ""),
        ({"Cargo.toml": '[package]\nrust-version = "99999.1"\n'}, ""),
        ({"Cargo.toml": "#" * (2 << 20)}, ""),
    ],
)  # fmt: skip
def test_what_an_sdist_asks_for(tmp_path: Path, files: dict[str, str], version: str):
    assert read(tmp_path, files) == version


def test_what_is_no_archive_asks_for_nothing(tmp_path: Path):
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(b"no archive")
    assert read_rust_version(path, path.name) == ""


@pytest.mark.parametrize(
    ("text", "version"),
    [("1.90", (1, 90, 0)), ("1.90.3", (1, 90, 3)), ("1", (1, 0, 0)), ("1.x", None), (1, None), ("", None), ("\N{ARABIC-INDIC DIGIT ONE}.2", None)],
)  # fmt: skip
def test_a_release_is_three_numbers(text: object, version: tuple[int, int, int] | None):
    assert parse_rust_version(text) == version
