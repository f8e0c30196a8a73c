import json
import os
import socket
import time
import zlib
from pathlib import Path

import pytest

from builder.host.settings import IndexSettings
from builder.sources import client as index
from builder.sources import http
from builder.sources.client import Index
from builder.sources.errors import RefusedAddressError
from builder.sources.http import Answer
from builder.sources.index_file import IndexFile
from builder.sources.index_page import parse_page
from builder.sources.page_cache import Page, PageCache
from builder.sources.releases import group_releases
from builder.store.store import Store

URL = "http://index/simple/foo/"


def file(version: str) -> IndexFile:
    return IndexFile(
        filename=f"foo-{version}.tar.gz", url=f"http://files/foo-{version}.tar.gz", project="foo", version=version,
        package_type="sdist", digests={"sha256": "ab" * 32}, requires_python=">=3.9", is_yanked=True,
        has_metadata=True, uploaded="2026-11-01T00:00:00Z",
    )  # fmt: skip


def test_a_page_comes_back_as_it_was(tmp_path: Path):
    pages = PageCache(tmp_path)
    assert pages.get(URL) is None
    releases = group_releases([file("1.0"), file("2.0"), file("1.0")])
    pages.put(URL, Page(content="abc", etag='"1"', releases=releases))
    page = PageCache(tmp_path).get(URL)
    assert page is not None
    assert (page.content, page.etag, tuple(page.releases)) == ("abc", '"1"', releases)
    assert [str(release.version) for release in page.releases] == ["2.0", "1.0"]
    assert [len(release.files) for release in page.releases] == [1, 2]
    assert 0 <= page.age_s < 60
    assert pages.get(f"{URL}?") is None


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"no zlib",
        b"x\x9c\x03\x00\x00\x00\x00\x01",
        zlib.compress(b"[1]"),
        zlib.compress(b'["a", ""]\n1.0'),
    ],
)
def test_a_damaged_page_is_read_anew(tmp_path: Path, damage: bytes):
    pages = PageCache(tmp_path)
    pages.put(URL, Page(content="abc", etag="", releases=group_releases([file("1.0")])))
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    assert pages.get(URL) is None


class Server:
    """Answers for one project, and counts what it was made to do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, etag: bool) -> None:
        self.versions = ["1.0"]
        self.etag = etag
        self.sent: list[int] = []
        self.read = 0

        def count(*arguments):
            self.read += 1
            return parse_page(*arguments)

        monkeypatch.setattr(index, "parse_page", count)
        monkeypatch.setattr(http, "fetch", self.fetch)

    def fetch(self, _session, url: str, _what: str, *, headers: dict[str, str], **_) -> Answer:
        tag = f'"{len(self.versions)}"'
        stated = {"content-type": "application/vnd.pypi.simple.v1+json"}
        status = 304 if self.etag and headers.get("If-None-Match") == tag else 200
        if self.etag:
            stated["etag"] = tag
        content = b""
        if status == 200:
            files = [
                {"filename": f"foo-{one}.tar.gz", "url": f"foo-{one}.tar.gz", "hashes": {}}
                for one in self.versions
            ]
            content = json.dumps(
                {"meta": {"api-version": "1.0"}, "name": "foo", "files": files}
            ).encode()
        self.sent.append(status)
        return Answer(status=status, url=url, headers=stated, encoding=None, content=content)


@pytest.mark.parametrize("etag", [True, False])
def test_a_page_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, etag: bool
):
    server = Server(monkeypatch, etag=etag)
    store = Store(tmp_path / "wheelhouse")

    def versions() -> list[str]:
        client = Index(IndexSettings(url="http://index/simple/"), store)
        return [str(release.version) for release in client.releases("foo") or ()]

    assert versions() == versions() == ["1.0"]
    assert server.read == 1
    server.versions.append("2.0")
    assert versions() == versions() == ["2.0", "1.0"]
    assert server.read == 2
    assert server.sent == ([200, 304, 200, 304] if etag else [200] * 4)
    store.close()


def test_a_fresh_page_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = Server(monkeypatch, etag=False)
    store = Store(tmp_path / "wheelhouse")

    def ask() -> None:
        Index(IndexSettings(url="http://index/simple/"), store, page_fresh_s=600).releases("foo")

    ask()
    ask()
    assert server.sent == [200]

    (page,) = (store.folder / "pages").iterdir()
    for age_s, sent in ((500, 1), (700, 2), (0, 2)):
        if age_s:
            os.utime(page, (time.time() - age_s,) * 2)
        ask()
        assert len(server.sent) == sent
    assert server.read == 1
    store.close()


def test_files_of_a_release_are_read_when_they_are_asked_for(tmp_path: Path):
    pages = PageCache(tmp_path)
    pages.put(URL, Page(content="abc", etag="", releases=group_releases([file("1.0")])))
    page = pages.get(URL)
    assert page is not None
    (release,) = page.releases
    assert not release.may_name(["-cp314"])
    assert release.may_name(["foo-1.0"])
    assert release.files == (file("1.0"),)
    assert release.may_name(["-cp314"])  # the files tell


def test_links_of_a_fresh_page_may_lead_where_those_of_its_index_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Who does not connect to an index learns all the same that it is in a private network."""
    Server(monkeypatch, etag=False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("10.0.0.7", 80))])
    store = Store(tmp_path / "wheelhouse")
    for _ in range(2):
        client = Index(IndexSettings(url="http://index/simple/"), store, page_fresh_s=600)
        client.releases("foo")
    client._rule.check_address("files", 80, "10.0.0.8")
    with pytest.raises(RefusedAddressError):
        client._rule.check_address("files", 80, "127.0.0.1")
    store.close()
