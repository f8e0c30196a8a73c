"""Rust toolchains behind the proxy: what a release's manifest lists with a sha256 is passed on, and nothing else."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.inside.proxy.addresses import AddressRule
from builder.inside.proxy.files import FileFolders
from builder.inside.proxy.toolchains import ToolchainServer, UnfitManifestError, parse_manifest
from builder.jobs.build.rust import TOOLCHAIN_PROGRAM
from builder.proxy.configuration import client_environment
from tests.rust_server import TARGET, RustServer, make_archive
from tests.unit.inside.proxy.listening_proxy import ListeningProxy, listening

HOST = "http://rust.wheelfarm.invalid"
VERSION = "1.98.0"
MANIFEST = f"/dist/channel-rust-{VERSION}.toml"
COMPONENTS = {
    "rustc": make_archive("rustc", VERSION, {"bin/rustc": "#!/bin/sh\necho rustc\n"}),
    "cargo": make_archive("cargo", VERSION, {"bin/cargo": "#!/bin/sh\necho cargo\n"}),
    "rust-std": make_archive("rust-std", VERSION, {f"lib/rustlib/{TARGET}/lib/std": "std\n"}),
}


@dataclass(kw_only=True)
class Proxy(ListeningProxy):
    """The proxy, listening, with a server of toolchains behind it."""

    rust: RustServer

    def install(self, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run the program of containers, as they do."""
        environment = client_environment("127.0.0.1", self.port, "one")
        return subprocess.run(
            [sys.executable, "-I", "-S", str(TOOLCHAIN_PROGRAM), VERSION, str(folder)],
            env={**environment, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )


def start(root: Path, rust: RustServer, url: str, **settings: Any) -> Iterator[Proxy]:
    for name in ("sessions", "given", "fetched"):
        (root / name).mkdir(exist_ok=True)
    toolchains = ToolchainServer(
        {"url": url, "authorization": "", "held": {}, **settings},
        FileFolders(root / "given", root / "fetched"),
        AddressRule([url] if url else []),
    )
    with listening(root, toolchains=toolchains) as port:
        yield Proxy(host=HOST, rust=rust, root=root, port=port)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    rust = RustServer()
    rust.add(VERSION, COMPONENTS)
    with rust.serve() as url:
        yield from start(tmp_path, rust, url)


def test_a_release_is_passed_on_by_what_its_manifest_lists_and_recorded(
    proxy: Proxy, tmp_path: Path
):
    """The program that runs in containers fetches and unpacks it."""
    proxy.open()
    ended = proxy.install(tmp_path / "rust")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in ("rustc", "cargo"):
        said = subprocess.run([tmp_path / "rust/bin" / name], capture_output=True, check=True)
        assert said.stdout.decode().strip() == name
    assert (tmp_path / f"rust/lib/rustlib/{TARGET}/lib/std").read_text() == "std\n"
    assert not (tmp_path / "rust/install.sh").exists()

    manifest = proxy.rust.files[MANIFEST]
    first, *files = proxy.events()
    assert first == {
        "kind": "toolchain",
        "version": VERSION,
        "sha256": hashlib.sha256(manifest).hexdigest(),
    }
    assert [(event["filename"], event["sha256"]) for event in files] == [
        (f"{name}-{VERSION}-{TARGET}.tar.xz", hashlib.sha256(content).hexdigest())
        for name, content in COMPONENTS.items()
    ]


def test_what_the_server_lacks_is_said_with_what_was_asked(proxy: Proxy, tmp_path: Path):
    del proxy.rust.files[MANIFEST]
    proxy.open()
    ended = proxy.install(tmp_path / "rust")
    assert ended.returncode == 0
    assert "the base's own is taken" in ended.stdout
    assert not (tmp_path / "rust").exists()
    (event,) = proxy.events()
    asked = f"{proxy.rust.url}dist/channel-rust-{VERSION}.toml"
    assert event == {"kind": "lacks-toolchain", "what": f"{asked} answered 404"}


def test_a_server_that_fails_ends_the_build_and_is_recorded(proxy: Proxy, tmp_path: Path):
    proxy.rust.statuses[MANIFEST] = 500
    proxy.open()
    ended = proxy.install(tmp_path / "rust")
    assert ended.returncode == 1
    (event,) = proxy.events()
    assert event["kind"] == "no-toolchain"
    assert event["what"].endswith("(the server of Rust toolchains answered 500)")


def test_an_archive_with_another_hash_than_the_manifest_lists_is_refused(proxy: Proxy):
    filename = f"cargo-{VERSION}-{TARGET}.tar.xz"
    proxy.rust.files[f"/dist/2026-01-02/{filename}"] = b"something else"
    proxy.open()
    status, body = proxy.get(f"/{VERSION}/{filename}")
    assert (status, b"something else" in body) == (409, False)
    (event,) = proxy.events("no-toolchain")
    listed = hashlib.sha256(COMPONENTS["cargo"]).hexdigest()
    found = hashlib.sha256(b"something else").hexdigest()
    assert found in event["what"]
    assert f"its manifest lists {listed}" in event["what"]
    assert not list((proxy.root / "fetched").glob(".*"))
    assert proxy.events("toolchain-file") == []


def test_a_manifest_with_another_hash_than_beside_it_is_refused(proxy: Proxy):
    text = proxy.rust.files[MANIFEST].decode()
    proxy.rust.add_manifest(VERSION, text, sha256="0" * 64)
    proxy.open()
    assert proxy.get(f"/{VERSION}")[0] == 409
    (event,) = proxy.events()
    assert f"says {'0' * 64}" in event["what"]

    proxy.rust.files[f"{MANIFEST}.sha256"] = b"<html>\n"
    assert proxy.get(f"/{VERSION}")[0] == 409
    del proxy.rust.files[f"{MANIFEST}.sha256"]
    assert proxy.get(f"/{VERSION}")[0] == 503


def test_files_that_no_manifest_lists_are_not_to_be_had(proxy: Proxy):
    proxy.rust.files["/dist/2026-01-02/secret.tar.xz"] = b"secret"
    proxy.open()
    for path in ("secret.tar.xz", "../secret.tar.xz", "2026-01-02/secret.tar.xz", "install.sh"):
        assert proxy.get(f"/{VERSION}/{path}")[0] == 404
    for path in ("", "/stable", "/nightly", "/1.98", "/..%2F1.98.0", f"/{VERSION}?a"):
        expected = 200 if path.startswith(f"/{VERSION}") else 404
        assert proxy.get(path)[0] == expected
    assert proxy.get(f"/{VERSION}", "POST")[0] == 403
    proxy.end()
    assert proxy.get(f"/{VERSION}")[0] == 404


def test_a_redirect_leads_to_the_servers_own_host_alone(proxy: Proxy):
    filename = f"rustc-{VERSION}-{TARGET}.tar.xz"
    path = f"/dist/2026-01-02/{filename}"
    proxy.rust.files["/elsewhere"] = proxy.rust.files.pop(path)
    proxy.rust.redirects[path] = "/elsewhere"
    proxy.open()
    assert proxy.get(f"/{VERSION}/{filename}") == (200, COMPONENTS["rustc"])

    other = RustServer()
    other.files["/secret"] = COMPONENTS["cargo"]
    with other.serve("127.0.0.2") as url:
        filename = f"cargo-{VERSION}-{TARGET}.tar.xz"
        proxy.rust.redirects[f"/dist/2026-01-02/{filename}"] = f"{url}secret"
        assert proxy.get(f"/{VERSION}/{filename}")[0] == 503
    assert other.asked == []
    assert proxy.events("no-toolchain")


def test_credentials_go_to_the_server_and_are_not_shown(tmp_path: Path):
    rust = RustServer()
    with rust.serve() as url:
        for proxy in start(tmp_path, rust, url, authorization="Basic c2VjcmV0"):
            proxy.open()
            assert proxy.get(f"/{VERSION}")[0] == 404
            assert {shown for _, shown in rust.asked} == {"Basic c2VjcmV0"}
            assert "c2VjcmV0" not in json.dumps(proxy.events())


def test_without_a_server_there_are_no_toolchains(tmp_path: Path):
    for proxy in start(tmp_path, RustServer(), ""):
        proxy.open()
        assert proxy.get(f"/{VERSION}")[0] == 404


def test_what_is_held_is_served_where_the_server_is_silent_and_a_lock_asks_nothing(tmp_path: Path):
    rust = RustServer()
    rust.add(VERSION, COMPONENTS)
    manifest = rust.files[MANIFEST]
    sha256 = hashlib.sha256(manifest).hexdigest()
    (tmp_path / "given").mkdir()
    for content in (manifest, *COMPONENTS.values()):
        (tmp_path / "given" / hashlib.sha256(content).hexdigest()).write_bytes(content)

    rust.statuses[MANIFEST] = 503
    with rust.serve() as url:
        for proxy in start(tmp_path, rust, url, held={VERSION: sha256}):
            proxy.open()
            assert proxy.install(tmp_path / "held").returncode == 0
            proxy.end()
            asked = len(rust.asked)

            proxy.open("two", locked={}, locked_manifests={VERSION: sha256})
            assert proxy.get(f"/{VERSION}")[0] == 200
            assert proxy.get("/1.99.0")[0] == 404
            assert len(rust.asked) == asked
            (event,) = proxy.events("unlocked", "two")
            assert event["project"] == "Rust 1.99.0"


def test_a_session_may_not_ask_without_end(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builder.inside.proxy.sessions._MAX_REQUESTS", 2)
    proxy.open()
    assert [proxy.get(f"/{VERSION}")[0] for _ in range(3)] == [200, 200, 429]


GOOD = RustServer()
GOOD.add(VERSION, COMPONENTS)
TEXT = GOOD.files[MANIFEST].decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html>not here</html>", "no TOML"),
        ("a = " + "[" * 100_000, "no TOML"),
        (TEXT.replace('"2"', '"3"'), "version 2"),
        (TEXT.replace(VERSION, "1.97.0"), f"no manifest of Rust {VERSION}"),
        (TEXT.replace("[pkg.cargo.target.x86_64", "[pkg.cargo.target.aarch64"), "no cargo for"),
        (TEXT.replace("available = true", "available = false", 1), "no rustc for"),
        (TEXT.replace("/dist/2026-01-02/rustc", "/other/rustc"), "no usable address and sha256 of rustc"),
        (TEXT.replace("/dist/2026-01-02/rustc", "/dist/../rustc"), "no usable address"),
        (TEXT.replace("/dist/2026-01-02/rustc", "/dist//etc/rustc"), "no usable address"),
        (TEXT.replace("/dist/2026-01-02/rustc", "/dist/%2e%2e/rustc"), "no usable address"),
        (TEXT.replace('xz_hash = "', 'xz_hash = "0'), "no usable address"),
        (TEXT.replace("xz_hash", "xz_hasch"), "no usable address"),
        ('manifest-version = "2"\npkg = 1\n', "no manifest of Rust"),
        (TEXT.replace("https://rust.invalid", "https://[rust.invalid"), "no usable address"),
        (TEXT.replace("https://rust.invalid", "https://rust.invalid/" + "a" * 2000), "no usable address"),
    ],
)  # fmt: skip
def test_a_hostile_manifest_is_refused(text: str, reason: str):
    with pytest.raises(UnfitManifestError, match=reason):
        parse_manifest(text.encode(), VERSION)


def test_the_other_archive_is_taken_where_there_is_no_xz():
    text = TEXT.replace("xz_url", "url").replace("xz_hash", "hash").replace(".tar.xz", ".tar.gz")
    archives = parse_manifest(text.encode(), VERSION)
    assert [archive.filename for archive in archives] == [
        f"{name}-{VERSION}-{TARGET}.tar.gz" for name in COMPONENTS
    ]


def test_a_manifest_may_not_be_huge(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builder.inside.proxy.toolchains._MAX_MANIFEST_BYTES", 100)
    proxy.open()
    assert proxy.get(f"/{VERSION}")[0] == 503
    (event,) = proxy.events()
    assert "too long" in event["what"]


def test_an_archive_may_not_be_huge(proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("builder.inside.proxy.toolchains._MAX_ARCHIVE_BYTES", 100)
    proxy.open()
    assert proxy.get(f"/{VERSION}/rustc-{VERSION}-{TARGET}.tar.xz")[0] == 503
    assert not list((proxy.root / "fetched").glob(".*"))
