"""How patient the farm is with servers, and that what they say is compared with what they promised."""

import hashlib
import os
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from builder.host.settings import IndexSettings
from builder.sources import http
from builder.sources.client import Index
from builder.sources.errors import FileMismatchError, NoIndexAnswerError
from builder.sources.releases import Release
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, sdist, serving, wheel

WHEEL = "pkg-1.0-py3-none-any.whl"
METADATA = b"Metadata-Version: 2.1\nName: pkg\nVersion: 1.0\nRequires-Dist: from-metadata\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as answer:
        yield answer


def release(client: Index) -> Release:
    (found,) = client.releases("pkg") or ()
    return found


def add_with_metadata(index: LocalIndex, stated: str) -> None:
    content = wheel("pkg", "1.0", requires=("from-wheel",))
    index.add("pkg", WHEEL, content, f'data-core-metadata="{stated}"')
    (index.root / "pkg" / f"{WHEEL}.metadata").write_bytes(METADATA)


@pytest.mark.parametrize("stated", ["true", f"sha256={hashlib.sha256(METADATA).hexdigest()}"])
def test_metadata_beside_a_wheel_is_taken_as_promised(
    served: tuple[LocalIndex, IndexSettings], store: Store, stated: str
):
    index, settings = served
    add_with_metadata(index, stated)
    for _ in range(2):  # the second time the page is the one that was kept
        client = Index(settings, store)
        metadata = client._read_metadata(release(client))
        assert metadata["requires_dist"] == ["from-metadata"]
    assert f"/pkg/{WHEEL}" not in index.asked


def test_metadata_with_another_hash_is_refused(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    add_with_metadata(index, f"sha256={'0' * 64}")
    for _ in range(2):  # the hash has to survive in the kept page, too
        client = Index(settings, store)
        with pytest.raises(FileMismatchError, match=f"promised {'0' * 64}") as caught:
            client.requirements("pkg", release(client))
        assert WHEEL in str(caught.value)
        assert settings.url not in str(caught.value)


def test_metadata_that_is_not_there_is_read_from_the_wheel(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    add_with_metadata(index, "true")
    (index.root / "pkg" / f"{WHEEL}.metadata").unlink()
    client = Index(settings, store)
    assert client.requirements("pkg", release(client)) == ("from-wheel",)
    assert index.asked.count(f"/pkg/{WHEEL}.metadata") == 1


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_asked_for_once(
    served: tuple[LocalIndex, IndexSettings], store: Store, status: int
):
    index, settings = served
    index.add("pkg", "pkg-1.0.tar.gz", sdist("pkg", "1.0"))
    index.refusals["/pkg/pkg-1.0.tar.gz"] = [(status, {})] * 9
    client = Index(settings, store)
    file = release(client).sdist
    assert file is not None
    with pytest.raises(NoIndexAnswerError, match=f"status {status}"):
        client.download(file)
    assert index.asked.count("/pkg/pkg-1.0.tar.gz") == 1
    assert client.releases("unknown") is None
    assert index.asked.count("/unknown/") == 1


def test_a_server_that_asks_for_a_pause_gets_it(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("pkg", "pkg-1.0.tar.gz", sdist("pkg", "1.0"))
    index.refusals["/pkg/"] = [(429, {"Retry-After": "1"})]
    began = time.monotonic()
    assert release(Index(settings, store)).version.major == 1
    assert time.monotonic() - began >= 1
    assert index.asked == ["/pkg/", "/pkg/"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_what_fails_for_a_moment_is_asked_again(
    served: tuple[LocalIndex, IndexSettings], store: Store, status: int
):
    index, settings = served
    index.add("pkg", "pkg-1.0.tar.gz", sdist("pkg", "1.0"))
    index.refusals["/pkg/"] = [(status, {})]
    assert release(Index(settings, store)).version.major == 1
    assert index.asked == ["/pkg/", "/pkg/"]


def test_what_goes_on_failing_is_said_with_its_status(
    served: tuple[LocalIndex, IndexSettings], store: Store, monkeypatch: pytest.MonkeyPatch
):
    index, settings = served
    monkeypatch.setattr(http, "_BACKOFF_S", 0)
    index.refusals["/pkg/"] = [(503, {})] * 99
    with pytest.raises(NoIndexAnswerError, match="status 503"):
        Index(settings, store).releases("pkg")
    assert len(index.asked) == 5


def test_no_server_makes_the_farm_wait_for_an_hour():
    adapter = http.open_session().get_adapter("https://index.invalid")
    assert isinstance(adapter, requests.adapters.HTTPAdapter)
    assert adapter.max_retries.parse_retry_after("3600") == 30
    assert adapter.max_retries.parse_retry_after("7") == 7


def test_who_wants_to_know_how_a_server_answers_now_asks_once(
    served: tuple[LocalIndex, IndexSettings],
):
    index, settings = served
    index.refusals["/pkg/"] = [(503, {})] * 2
    with http.open_session(retries=False) as session:
        assert session.get(f"{settings.url}pkg/").status_code == 503
    assert index.asked == ["/pkg/"]


@pytest.mark.parametrize(("breaks", "arrives"), [(2, True), (3, False)])
def test_a_connection_that_breaks_off_is_tried_again_from_the_beginning(
    served: tuple[LocalIndex, IndexSettings], store: Store, *, breaks: int, arrives: bool
):
    index, settings = served
    content = os.urandom(100_000)
    promised = index.add("pkg", "pkg-1.0.tar.gz", content)
    index.cut_off["/pkg/pkg-1.0.tar.gz"] = breaks
    client = Index(settings, store)
    file = release(client).sdist
    assert file is not None
    if arrives:
        assert client.download(file) == promised
        assert store.file(promised).read_bytes() == content
    else:
        with pytest.raises(NoIndexAnswerError, match="ChunkedEncodingError"):
            client.download(file)
        assert not store.file(promised).exists()


def test_a_download_takes_no_memory_by_its_size(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    size = 48 << 20
    promised = index.add("pkg", "pkg-1.0.tar.gz", bytes(size))
    client = Index(settings, store)
    file = release(client).sdist
    assert file is not None
    tracemalloc.start()
    try:
        assert client.download(file) == promised
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.file(promised).stat().st_size == size
    assert peak < 8 << 20
