"""Whatever an index or a file host answers about one package is that package's finding, within bounds, and no other's."""

import gzip
import json
import socket
import time
import tomllib
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from builder.config import matrix
from builder.host.settings import IndexSettings
from builder.sources import Sources, client, http, resolve
from builder.sources.client import Index
from builder.sources.errors import MalformedAnswerError, RefusedAddressError
from builder.store.store import Store
from tests.unit.hostile_server import Hostile, Request, hostile_server
from tests.unit.local_index import sdist, wheel

PYTHON = Version("3.14.5")
NO_HASH = '<a href="/files/{0}">{0}</a>'


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile_server() as served:
        served.page("good", NO_HASH.format("good-1.0.tar.gz"))
        served.file("/files/good-1.0.tar.gz", sdist("good", "1.0"))
        yield served


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "wheelhouse") as opened:
        yield opened


def ask(server: Hostile, store: Store, *more: str, **settings: Any) -> Sources:
    """Resolve the packages `bad` and `good`, and check that the good one was not harmed."""
    text = "\n".join(["[packages.bad]", "[packages.good]", *more])
    loaded = matrix.parse(tomllib.loads(text), Path("matrix.toml"))
    index = Index(IndexSettings(url=server.url, **settings), store)
    answer = resolve(
        loaded,
        store,
        index,
        PYTHON,
        names=list(loaded.packages),
        fresh_s=0,
        say=lambda _: None,
    )
    assert answer.found["good"].version == "1.0"
    assert answer.found["good"].trouble == ""
    return answer


def fault_of(server: Hostile, store: Store, **settings: tuple[str, ...]) -> tuple[str, str]:
    fault = ask(server, store, **settings).faults["bad"]
    assert "127.0.0.1" not in fault.detail or fault.code == "WF111"
    return fault.code, fault.detail


# --- size and time -------------------------------------------------------------------------------------------------------


def test_a_page_without_an_end(server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "PAGE_LIMIT_BYTES", 1 << 20)
    server.answers["/bad/"] = lambda request: request.send_forever(
        b"<a>" * 10_000, content_type="text/html"
    )
    assert fault_of(server, store) == ("WF112", "the page of bad has more than 1 MiB")


def test_a_page_that_unpacks_to_gigabytes(server: Hostile, store: Store):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    server.answers["/bad/"] = lambda request: request.send(
        content=bomb, content_type="text/html", content_encoding="gzip"
    )
    tracemalloc.start()
    try:
        assert fault_of(server, store) == ("WF112", "the page of bad has more than 32 MiB")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80 << 20


def test_a_page_that_is_compressed_as_asked_for_is_read(server: Hostile, store: Store):
    page = gzip.compress(NO_HASH.format("bad-1.0.tar.gz").encode())
    server.answers["/bad/"] = lambda request: request.send(
        content=page, content_type="text/html", content_encoding="gzip"
    )
    server.file("/files/bad-1.0.tar.gz", sdist("bad", "1.0"))
    assert ask(server, store).found["bad"].version == "1.0"


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("br", b"x"),
        ("gzip, gzip", b"x"),
        ("gzip", b"no gzip"),
        ("gzip", gzip.compress(b"x", mtime=0)[:-9]),
        ("gzip", gzip.compress(b"x", mtime=0) + b"x"),
    ],
)
def test_a_page_in_another_compression(
    server: Hostile, store: Store, encoding: str, content: bytes
):
    server.answers["/bad/"] = lambda request: request.send(
        content=content, content_type="text/html", content_encoding=encoding
    )
    assert fault_of(server, store)[0] == "WF112"


def drip_body(request: Request) -> None:
    request.send_forever(b" ", pause_s=0.05, content_type="text/html")


def drip_headers(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not request.server.hostile.stop.is_set():
        request.wfile.write(b"x")
        time.sleep(0.05)


def drip_redirects(request: Request) -> None:
    time.sleep(0.3)
    request.send(302, location=request.path)


@pytest.mark.parametrize("drip", [drip_body, drip_headers, drip_redirects])
def test_a_page_that_comes_a_byte_now_and_then(
    server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch, drip
):
    monkeypatch.setattr(http, "ANSWER_S", 1)
    server.answers["/bad/"] = drip
    began = time.monotonic()
    assert fault_of(server, store) == ("WF112", "the page of bad took more than 1 s in all")
    assert time.monotonic() - began < 20


def test_a_file_that_comes_a_byte_now_and_then(
    server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http, "DOWNLOAD_S", 1)
    server.page("bad", NO_HASH.format("bad-1.0.tar.gz"))
    server.answers["/files/bad-1.0.tar.gz"] = drip_body
    assert fault_of(server, store) == ("WF112", "bad-1.0.tar.gz took more than 1 s in all")


def test_a_file_without_an_end(server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WHEELFARM_MAX_FILE_MIB", "4")
    server.page("bad", NO_HASH.format("bad-1.0.tar.gz"))
    server.answers["/files/bad-1.0.tar.gz"] = lambda request: request.send_forever(bytes(1 << 16))
    assert fault_of(server, store) == ("WF112", "bad-1.0.tar.gz has more than 4 MiB")
    assert not any(path.stat().st_size > 1 << 20 for path in store.folder.rglob("*"))


def test_metadata_without_an_end(server: Hostile, store: Store):
    name = "bad-1.0-py3-none-any.whl"
    server.page("bad", f'<a href="/files/{name}" data-core-metadata="true">{name}</a>')
    server.answers[f"/files/{name}.metadata"] = lambda request: request.send_forever(
        b"A: b\n" * 10_000
    )
    server.file(f"/files/{name}", wheel("bad", "1.0"))
    assert fault_of(server, store) == ("WF112", f"the metadata of {name} has more than 8 MiB")


@pytest.mark.parametrize(
    ("span", "content"),
    [("bytes 0-9/100000000000000", bytes(10)), ("bytes 0-99999999999/100000000000", bytes(1 << 20)), ("bytes 5-1/9", b""),
     ("bytes 0-9/10", bytes(1 << 20)), ("bytes x-y/z", b"1"), ("bytes 0-65535/9000000000000", bytes(1 << 16))],
)  # fmt: skip
def test_a_server_that_lies_about_ranges(server: Hostile, store: Store, span: str, content: bytes):
    name = "bad-1.0-cp314-cp314-linux_x86_64.whl"
    server.page("bad", NO_HASH.format("bad-1.0.tar.gz") + NO_HASH.format(name))
    server.file("/files/bad-1.0.tar.gz", sdist("bad", "1.0"))

    def answer(request: Request) -> None:
        if "Range" in request.headers:
            request.send(206, content, content_range=span)
        else:
            request.send(content=wheel("bad", "1.0"))

    server.answers[f"/files/{name}"] = answer
    tracemalloc.start()
    try:
        answered = ask(server, store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "bad" in answered.found or answered.faults["bad"].code == "WF112"
    assert peak < 32 << 20


# --- pages that are none -------------------------------------------------------------------------------------------------

JSON = "application/vnd.pypi.simple.v1+json"
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "content",
    [DEEP, '{"files": ' + DEEP, "{", "null", '{"files": 1}', '{"files": [], "meta": {"api-version": "9.0"}}', '{"files": [' + "[]," * 2_000_000 + "[]]}", "\0"],
    ids=["deep", "deep inside", "cut off", "null", "no list", "of tomorrow", "millions of values", "binary"],
)  # fmt: skip
def test_a_page_that_is_no_page(server: Hostile, store: Store, content: str):
    server.page("bad", content, content_type=JSON)
    assert fault_of(server, store)[0] == "WF112"


@pytest.mark.parametrize(
    "content",
    ["<!--" * 500_000, "<![CDATA[" * 200_000, "<a href='x" * 200_000, '<a x="' * 300_001, "<a>" * 500_000, "<a " + "x " * 500_000,
     "<a " + " " * 1_000_000, f'<a href="x">{"-" * 500_000}.whl</a>', "<a href=x>" + "bad-" * 500_000, "<" * 2_000_000],
    ids=range(10),
)  # fmt: skip
def test_a_page_that_parsers_take_hours_for(server: Hostile, store: Store, content: str):
    server.page("bad", content + "<a href='/files/bad-1.0.tar.gz'>bad-1.0.tar.gz</a>")
    server.file("/files/bad-1.0.tar.gz", sdist("bad", "1.0"))
    began = time.monotonic()
    ask(server, store)
    assert time.monotonic() - began < 10


def test_a_page_of_more_files_than_any_project_has(
    server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("builder.sources.index_page._MAX_FILES", 100)
    server.page("bad", "".join(NO_HASH.format(f"bad-1.{number}.tar.gz") for number in range(200)))
    assert fault_of(server, store) == ("WF112", "the page of bad lists more than 100 files")


def test_files_that_are_none_are_passed_over(server: Hostile, store: Store):
    files = [
        {"filename": "bad-9.0.tar.gz"},
        {"filename": "bad-9.0.tar.gz", "url": 1, "hashes": {}},
        {"filename": "../bad-9.0.tar.gz", "url": "x", "hashes": {}},
        {"filename": "bad-9.0-1../../../x-py3-none-any.whl", "url": "x", "hashes": {}},
        {"filename": "bad-9.0\n.tar.gz", "url": "x", "hashes": {}},
        {"filename": "bad-9.0.tar.gz", "url": "http://[", "hashes": {}},
        {"filename": "bad-1.0.tar.gz", "url": "/files/bad-1.0.tar.gz", "hashes": {}},
        7,
    ]
    page = {"meta": {"api-version": "1.1"}, "name": "bad", "files": files}
    server.page("bad", json.dumps(page), content_type=JSON)
    server.file("/files/bad-1.0.tar.gz", sdist("bad", "1.0"))
    assert ask(server, store).found["bad"].version == "1.0"


@pytest.mark.parametrize(
    "hash_text",
    [
        "/etc/hostname",
        "../../../etc/hostname",
        "0" * 63,
        "0" * 64 + "%0a",
        "0" * 62 + "%2f.",
        "a/b",
    ],
)
def test_a_hash_that_is_none_is_no_path(server: Hostile, store: Store, hash_text: str):
    files = [
        {
            "filename": "bad-1.0.tar.gz",
            "url": "/files/bad-1.0.tar.gz",
            "hashes": {"sha256": hash_text},
        }
    ]
    page = {"meta": {"api-version": "1.1"}, "name": "bad", "files": files}
    server.page("bad", json.dumps(page), content_type=JSON)
    server.file("/files/bad-1.0.tar.gz", sdist("bad", "1.0"))
    code, detail = fault_of(server, store)
    assert code == "WF112"
    assert detail.startswith("the page that lists bad-1.0.tar.gz: expected a sha256")
    assert "/files/bad-1.0.tar.gz" not in server.paths


def test_no_path_of_the_store_is_made_of_what_is_no_hash(store: Store):
    for text in ("/etc/hostname", "../x", "", "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(ValueError, match="expected a sha256"):
            store.file(text)


# --- where an index leads ------------------------------------------------------------------------------------------------


@pytest.fixture
def secret() -> Iterator[Hostile]:
    """A service of this machine, which answers everybody who reaches it."""
    with hostile_server() as served:
        served.file("/secret", sdist("bad", "1.0"))
        yield served


def spell(port: int) -> list[str]:
    hosts = (
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "127.0.0.2",
        "LOCALHOST.",
    )
    return [f"http://{host}:{port}/secret" for host in hosts]


@pytest.mark.parametrize("by", ["link", "redirect", "base"])
def test_no_index_leads_to_services_of_this_machine(
    server: Hostile, secret: Hostile, store: Store, by: str
):
    for number, url in enumerate(spell(secret.port)):
        if by == "link":
            server.page("bad", f'<a href="{url}">bad-1.{number}.tar.gz</a>')
        elif by == "base":
            server.page("bad", f'<base href="{url}"><a href="secret">bad-1.{number}.tar.gz</a>')
        else:
            server.page("bad", NO_HASH.format(f"bad-1.{number}.tar.gz"))
            server.redirect(f"/files/bad-1.{number}.tar.gz", url)
        code, detail = fault_of(server, store)
        assert code == "WF111", (url, detail)
        assert f"port {secret.port}" in detail
    assert secret.asked == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://10.0.0.1/x", "private network"),
        ("http://[fd00::1]/x", "private network"),
        ("http://[64:ff9b::10.0.0.1]/x", "private network"),
        ("http://[2002:0a00:0001::]/x", "private network"),
        ("http://224.0.0.1/x", "no public address"),
        ("http://[::]:1/x", "this machine"),
        ("file:///etc/hostname", "'file'"),
        ("ftp://files.invalid/x", "'ftp'"),
        ("gopher://127.0.0.1:1/x", "'gopher'"),
    ],
)
@pytest.mark.parametrize("by", ["link", "redirect"])
def test_no_index_leads_out_of_the_public_internet(
    server: Hostile, store: Store, url: str, said: str, by: str
):
    if by == "link":
        server.page("bad", f'<a href="{url}">bad-1.0.tar.gz</a>')
    else:
        server.page("bad", NO_HASH.format("bad-1.0.tar.gz"))
        server.answers["/files/bad-1.0.tar.gz"] = lambda request: request.send(302, location=url)
    code, detail = fault_of(server, store)
    assert (code, said in detail) == ("WF111", True), detail


def test_a_name_is_judged_by_the_address_it_has(
    server: Hostile, secret: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch
):
    look_up = socket.getaddrinfo

    def lie(host, *arguments, **options):
        return look_up("127.0.0.1" if host == "files.invalid" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lie)
    server.page("bad", f'<a href="http://files.invalid:{secret.port}/secret">bad-1.0.tar.gz</a>')
    assert fault_of(server, store)[0] == "WF111"
    assert secret.asked == []


def test_ranges_and_metadata_are_not_asked_elsewhere_either(
    server: Hostile, secret: Hostile, store: Store
):
    name = "bad-1.0-cp314-cp314-linux_x86_64.whl"
    link = f'<a href="http://127.0.0.1:{secret.port}/{name}"'
    for attribute in ("", 'data-core-metadata="true"'):
        server.page("bad", f"{link} {attribute}>{name}</a>")
        index = Index(IndexSettings(url=server.url), store)
        (release,) = index.releases("bad") or ()
        with pytest.raises(RefusedAddressError):
            index.requirements("bad", release)
        with pytest.raises(RefusedAddressError):
            index.wheel_head(release.wheels[0])
    assert secret.asked == []


def test_what_pip_is_configured_to_trust_may_have_the_files(
    server: Hostile, secret: Hostile, store: Store
):
    server.page("bad", f'<a href="{secret.url}secret">bad-1.0.tar.gz</a>')
    answer = ask(server, store, trusted_hosts=(f"127.0.0.1:{secret.port}",))
    assert answer.found["bad"].version == "1.0"
    answer = ask(server, store, extra_urls=(secret.url,))
    assert answer.found["bad"].version == "1.0"


def test_redirects_within_the_index_are_followed_and_not_for_ever(server: Hostile, store: Store):
    server.page("bad", NO_HASH.format("bad-1.0.tar.gz"))
    server.answers["/files/bad-1.0.tar.gz"] = lambda request: request.send(302, location="/moved")
    server.file("/moved", sdist("bad", "1.0"))
    assert ask(server, store).found["bad"].version == "1.0"
    server.page("bad", NO_HASH.format("bad-2.0.tar.gz"))
    server.answers["/files/bad-2.0.tar.gz"] = lambda request: request.send(
        302, location=request.path
    )
    assert fault_of(server, store) == ("WF112", "the index answers with more than 10 redirects")


def test_the_body_of_a_redirect_is_not_read(server: Hostile, store: Store):
    server.page("bad", NO_HASH.format("bad-1.0.tar.gz"))

    def answer(request: Request) -> None:
        request.send_response(302)
        request.send_header("Location", "/moved")
        request.end_headers()
        while not request.server.hostile.stop.is_set():
            request.wfile.write(bytes(1 << 16))
            request.server.hostile.sent += 1 << 16

    server.answers["/files/bad-1.0.tar.gz"] = answer
    server.file("/moved", sdist("bad", "1.0"))
    assert ask(server, store).found["bad"].version == "1.0"
    assert server.sent < 64 << 20


def test_credentials_stay_with_the_index(server: Hostile, secret: Hostile, tmp_path: Path):
    server.answers["/here"] = lambda request: request.send(302, location="/there")
    server.answers["/there"] = lambda request: request.send(302, location=f"{secret.url}secret")
    url = f"http://me:password@127.0.0.1:{server.port}/here"
    session = http.open_session()
    http.download(session, url, tmp_path / "file")
    sent = [headers.get("Authorization") for _, headers in server.asked]
    assert len(sent) == 2
    assert all(value is not None and value.startswith("Basic ") for value in sent)
    assert [headers.get("Authorization") for _, headers in secret.asked] == [None]
    session.close()


def test_no_error_shows_credentials(server: Hostile, secret: Hostile, store: Store):
    server.page("bad", f'<a href="http://me:password@127.0.0.1:{secret.port}/x">bad-1.0.tar.gz</a>')
    code, detail = fault_of(server, store)
    assert code == "WF111"
    assert "password" not in detail


def test_a_deadline_leaves_no_thread_and_no_connection_behind(
    server: Hostile, store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http, "ANSWER_S", 0.5)
    server.answers["/bad/"] = drip_body
    index = Index(IndexSettings(url=server.url), store)
    with pytest.raises(MalformedAnswerError):
        index.releases("bad")
    assert index.releases("good") is not None
