"""How the contents index of a distribution's archive comes to this machine."""

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from builder.errors import InfrastructureError, Interrupted
from builder.host.settings import IndexSettings
from builder.jobs import remedy
from builder.jobs.job import Tools
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, serving

CONTENT = gzip.compress(b"usr/include/x.h  libs/libx-dev\n" * 1000)
PATH = "/debian/Contents-amd64.gz"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[tuple[LocalIndex, IndexSettings]]:
    (tmp_path / "archive").mkdir()
    with serving(tmp_path / "archive") as (served, settings):
        served.add("debian", "Contents-amd64.gz", CONTENT)
        yield served, settings


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    store = Store(tmp_path / "wheelhouse")
    yield cast(
        "Tools",
        SimpleNamespace(store=store, say=lambda _: None, stop=threading.Event()),
    )
    store.close()


def test_it_is_fetched_once_and_stays_compressed(
    archive: tuple[LocalIndex, IndexSettings], tools: Tools
):
    served, settings = archive
    url = settings.url.rstrip("/") + PATH
    for _ in range(2):
        found = remedy._fetch(url, tools)
        assert found is not None
        assert found.read_bytes() == CONTENT
    assert served.asked == [PATH]


def test_one_that_is_not_there_is_asked_for_once(
    archive: tuple[LocalIndex, IndexSettings], tools: Tools
):
    served, settings = archive
    assert remedy._fetch(f"{settings.url}none.gz", tools) is None
    assert served.asked == ["/none.gz"]


def test_an_archive_that_fails_for_a_moment_is_asked_again(
    archive: tuple[LocalIndex, IndexSettings], tools: Tools
):
    served, settings = archive
    served.refusals[PATH] = [(503, {})]
    assert remedy._fetch(settings.url.rstrip("/") + PATH, tools) is not None


def test_a_connection_that_breaks_off_leaves_nothing_and_is_no_crash(
    archive: tuple[LocalIndex, IndexSettings], tools: Tools
):
    served, settings = archive
    served.cut_off[PATH] = 1
    with pytest.raises(InfrastructureError, match="could not be had"):
        remedy._fetch(settings.url.rstrip("/") + PATH, tools)
    assert list((tools.store.folder / "contents").iterdir()) == []


def test_a_farm_that_is_asked_to_stop_stops_here_too(
    archive: tuple[LocalIndex, IndexSettings], tools: Tools
):
    tools.stop.set()
    with pytest.raises(Interrupted):
        remedy._fetch(archive[1].url.rstrip("/") + PATH, tools)
