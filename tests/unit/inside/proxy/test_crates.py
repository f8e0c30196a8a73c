"""The registry of crates behind the proxy: what its index lists with a checksum is passed on, and nothing else."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.inside.proxy.addresses import AddressRule
from builder.inside.proxy.crates import CrateRegistry, fill_download, index_path
from builder.inside.proxy.files import FileFolders
from builder.proxy.configuration import client_environment
from builder.proxy.crates import CARGO_CONFIGURATION
from tests.crate_registry import Registry, make_crate
from tests.crate_registry import index_path as served_at
from tests.unit.inside.proxy.listening_proxy import ListeningProxy, listening

HOST = "http://crates.wheelfarm.invalid"
TINY = make_crate("tiny", "0.1.0", {"src/lib.rs": "pub fn answer() -> i32 { 42 }\n"})
TINY_SHA256 = hashlib.sha256(TINY).hexdigest()


@dataclass(kw_only=True)
class Proxy(ListeningProxy):
    """The proxy, listening, with a registry behind it."""

    registry: Registry

    def asked(self) -> list[str]:
        return [path for path, _ in self.registry.asked]


def start(root: Path, registry: Registry, url: str, **settings: Any) -> Iterator[Proxy]:
    for name in ("sessions", "given", "fetched"):
        (root / name).mkdir(exist_ok=True)
    crates = CrateRegistry(
        {"url": url, "token": "", "held": {}, **settings},
        FileFolders(root / "given", root / "fetched"),
        AddressRule([url] if url else []),
    )
    with listening(root, crates=crates) as port:
        yield Proxy(host=HOST, registry=registry, root=root, port=port)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    registry = Registry()
    registry.add("tiny", "0.1.0", TINY)
    with registry.serve() as url:
        yield from start(tmp_path, registry, url)


def test_a_crate_that_the_index_lists_is_passed_on_and_recorded_by_its_sha256(proxy: Proxy):
    proxy.open()
    status, config = proxy.get("/config.json")
    assert (status, json.loads(config)) == (200, {"dl": f"{HOST}/dl"})

    status, page = proxy.get("/ti/ny/tiny")
    assert (status, json.loads(page)["cksum"]) == (200, TINY_SHA256)
    assert proxy.get("/dl/tiny/0.1.0/download") == (200, TINY)
    assert proxy.get("/dl/tiny/0.1.0/download") == (200, TINY)

    assert proxy.asked().count("/files/tiny/0.1.0/download") == 1
    assert proxy.asked().count("/index/ti/ny/tiny") == 1
    assert proxy.events() == [
        {"kind": "crate-page", "name": "tiny", "sha256": hashlib.sha256(page).hexdigest()},
        {"kind": "crate", "name": "tiny", "version": "0.1.0", "sha256": TINY_SHA256},
    ]
    assert (proxy.root / "fetched" / TINY_SHA256).read_bytes() == TINY


def test_a_crate_that_is_not_the_one_the_index_lists_is_refused_and_said(proxy: Proxy):
    promised = proxy.registry.add("other", "1.0.0", b"something else", promised=b"promised")
    proxy.open()
    status, answer = proxy.get("/dl/other/1.0.0/download")
    assert status == 409
    assert b"something else" not in answer
    (event,) = proxy.events("no-crate")
    assert event["what"].startswith("other 1.0.0: the sha256 of what the registry gave is ")
    assert promised in event["what"]
    assert proxy.events("crate") == []
    assert not (proxy.root / "fetched" / promised).exists()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ti/ny/Tiny/..",
        "/ti/nx/tiny",
        "/..%2Fti/ny/tiny",
        "/dl/tiny/0.2.0/download",
        "/dl/tiny/..%2F0.1.0/download",
        "/dl/..%2Ftiny/0.1.0/download",
        "/dl/nowhere/0.1.0/download",
        "/no/wh/nowhere",
        f"/{'x' * 200}",
    ],
)
def test_what_the_index_does_not_list_is_not_there_and_silences_nobody(proxy: Proxy, path: str):
    proxy.open()
    assert proxy.get(path)[0] == 404
    assert proxy.events("no-crate") == []
    assert all(".." not in asked for asked in proxy.asked())
    assert proxy.get("/dl/tiny/0.1.0/download")[0] == 200


def test_only_lines_with_a_name_a_version_and_a_checksum_are_passed_on(proxy: Proxy):
    good = json.dumps({"name": "Bent", "vers": "1.0.0", "cksum": "0" * 64}).encode()
    proxy.registry.pages[served_at("bent")] = [
        b"no JSON",
        b"[" * 100_000,
        b"3",
        b'{"name": "bent", "vers": "1.0.1"}',
        b'{"name": "bent", "vers": "1.0.2", "cksum": "short"}',
        b'{"name": "bent", "vers": "../1", "cksum": "' + b"0" * 64 + b'"}',
        b'{"name": "other", "vers": "1.0.3", "cksum": "' + b"0" * 64 + b'"}',
        b'{"name": 3, "vers": "1.0.3", "cksum": "' + b"0" * 64 + b'"}',
        b"\xff\xfe",
        good,
    ]
    proxy.open()
    assert proxy.get("/be/nt/bent") == (200, good + b"\n")


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_registry_that_fails_is_no_registry_without_the_crate(proxy: Proxy, status: int):
    proxy.registry.statuses[served_at("tiny")] = status
    proxy.open()
    assert proxy.get("/ti/ny/tiny")[0] == 503
    assert proxy.events() == [
        {"kind": "no-crate", "what": f"tiny (the registry answered {status})"}
    ]


@pytest.mark.parametrize("status", [404, 410, 451])
def test_a_registry_that_says_it_has_no_such_crate_has_answered(proxy: Proxy, status: int):
    proxy.registry.statuses[served_at("tiny")] = status
    proxy.open()
    assert proxy.get("/ti/ny/tiny")[0] == 404
    assert proxy.events() == []


def test_without_a_registry_there_is_no_crate(tmp_path: Path):
    for proxy in start(tmp_path, Registry(), ""):
        proxy.open()
        assert proxy.get("/ti/ny/tiny")[0] == 404
        assert proxy.get("/dl/tiny/0.1.0/download")[0] == 404
        assert proxy.events() == []


def test_where_the_registry_is_silent_what_is_held_is_served(tmp_path: Path):
    page = json.dumps({"name": "tiny", "vers": "0.1.0", "cksum": TINY_SHA256}).encode() + b"\n"
    held = {"tiny": hashlib.sha256(page).hexdigest()}
    for proxy in start(tmp_path, Registry(), "http://127.0.0.1:9/", held=held):
        for content in (page, TINY):
            (tmp_path / "given" / hashlib.sha256(content).hexdigest()).write_bytes(content)
        proxy.open()
        assert proxy.get("/ti/ny/tiny") == (200, page)
        assert proxy.get("/dl/tiny/0.1.0/download") == (200, TINY)
        assert proxy.get("/ot/he/other")[0] == 503
        (event,) = proxy.events("no-crate")
        assert event["what"].startswith("other (")


def test_a_locked_session_has_its_crates_and_what_the_index_said_then(proxy: Proxy):
    page = json.dumps({"name": "tiny", "vers": "0.1.0", "cksum": TINY_SHA256}).encode() + b"\n"
    sha256 = hashlib.sha256(page).hexdigest()
    (proxy.root / "given" / sha256).write_bytes(page)
    newer = proxy.registry.add("tiny", "0.2.0", b"newer")
    locked: dict[str, Any] = {
        "locked": {},
        "locked_pages": {"tiny": sha256},
        "locked_crates": [TINY_SHA256],
    }
    proxy.open(**locked)
    assert proxy.get("/ti/ny/tiny") == (200, page)
    assert proxy.get("/dl/tiny/0.1.0/download") == (200, TINY)
    assert proxy.get("/dl/tiny/0.2.0/download")[0] == 404
    assert proxy.get("/ot/he/other")[0] == 404
    assert proxy.events("unlocked") == [{"kind": "unlocked", "project": "the crate other"}]
    assert newer not in str(proxy.events())
    proxy.end()

    proxy.open("two", **{**locked, "locked_crates": []})
    assert proxy.get("/dl/tiny/0.1.0/download")[0] == 404
    assert proxy.events("unlocked", "two") == [{"kind": "unlocked", "project": "the crate tiny"}]


def test_nobody_gets_a_crate_without_a_session_or_by_another_method(proxy: Proxy):
    assert proxy.get("/ti/ny/tiny")[0] == 404
    proxy.open("elsewhere", network="192.0.2.0/24")
    assert proxy.get("/ti/ny/tiny")[0] == 404
    proxy.open()
    assert proxy.get("/ti/ny/tiny", "POST")[0] == 403
    assert proxy.asked() == []


@pytest.mark.parametrize("needs_token", [True, False])
def test_a_token_goes_to_the_registry_and_to_its_files_where_they_need_it(
    tmp_path: Path, *, needs_token: bool
):
    registry = Registry()
    registry.add("tiny", "0.1.0", TINY)
    with registry.serve() as url:
        files = url.replace("/index/", "/files")
        registry.config = {"dl": f"{files}/{{crate}}/{{version}}/download", "auth-required": needs_token}  # fmt: skip
        for proxy in start(tmp_path, registry, url, token="known"):
            proxy.open()
            assert proxy.get("/dl/tiny/0.1.0/download") == (200, TINY)
    shown = dict(registry.asked)
    assert shown["/index/ti/ny/tiny"] == "known"
    assert shown["/files/tiny/0.1.0/download"] == ("known" if needs_token else "")


@pytest.mark.parametrize("target", ["http://169.254.169.254/dl", "file:///etc", "//", "nothing"])
def test_a_registry_leads_to_no_address_but_its_own(proxy: Proxy, target: str):
    proxy.registry.config = {"dl": target}
    proxy.open()
    assert proxy.get("/dl/tiny/0.1.0/download")[0] == 503
    (event,) = proxy.events("no-crate")
    assert event["what"].startswith("tiny 0.1.0 (the index leads to ")


@pytest.mark.parametrize("config", [{}, {"dl": 3}])
def test_what_is_no_configuration_of_a_registry_is_said(proxy: Proxy, config: dict[str, Any]):
    proxy.registry.config = config
    proxy.open()
    assert proxy.get("/dl/tiny/0.1.0/download")[0] == 503
    (event,) = proxy.events("no-crate")
    assert event["what"] == "config.json (it is none of a sparse registry)"


@pytest.mark.parametrize(
    ("name", "path"),
    [("a", "1/a"), ("ab", "2/ab"), ("abc", "3/a/abc"), ("Serde_json", "se/rd/serde_json")],
)
def test_the_index_has_a_crate_where_cargo_looks_for_it(name: str, path: str):
    assert index_path(name) == path


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://c.invalid/dl", "https://c.invalid/dl/Tiny/1.0.0/download"),
        ("https://c.invalid/dl/", "https://c.invalid/dl/Tiny/1.0.0/download"),
        ("https://c.invalid/{crate}-{version}.crate", "https://c.invalid/Tiny-1.0.0.crate"),
        ("https://c.invalid/{prefix}/{lowerprefix}", "https://c.invalid/Ti/ny/ti/ny"),
        ("https://c.invalid/{sha256-checksum}{other}", "https://c.invalid/0a{other}"),
    ],
)
def test_where_a_crate_is_follows_from_the_registrys_own_words(template: str, url: str):
    assert fill_download(template, "Tiny", "1.0.0", "0a") == url


@pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo on this machine")
def test_cargo_itself_takes_a_locked_crate_by_the_proxy(proxy: Proxy, tmp_path: Path):
    proxy.open()
    home, project = tmp_path / "home", tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src" / "lib.rs").write_text("")
    (project / "Cargo.toml").write_text(
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\ntiny = "0.1"\n'
    )
    (project / "Cargo.lock").write_text(
        'version = 3\n[[package]]\nname = "app"\nversion = "0.1.0"\ndependencies = ["tiny"]\n'
        '[[package]]\nname = "tiny"\nversion = "0.1.0"\n'
        f'source = "registry+https://github.com/rust-lang/crates.io-index"\nchecksum = "{TINY_SHA256}"\n'
    )
    (tmp_path / ".cargo").mkdir()
    (tmp_path / ".cargo" / "config.toml").write_text(CARGO_CONFIGURATION)
    environment = {**os.environ, "CARGO_HOME": str(home), **client_environment("127.0.0.1", proxy.port, "one")}  # fmt: skip
    fetched = subprocess.run(
        ["cargo", "fetch", "--locked"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert fetched.returncode == 0, fetched.stderr
    assert [event["sha256"] for event in proxy.events("crate")] == [TINY_SHA256]
