import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.engine import archives
from builder.engine.services import Service
from builder.errors import InfrastructureError, NoSpaceError
from builder.proxy.cache import FetchedFile, IndexCache
from tests.job_ids import job_id


def fetched(filename: str, content: bytes, project: str = "tool") -> FetchedFile:
    hashes = {"sha256": hashlib.sha256(content).hexdigest()}
    entry = {
        "filename": filename,
        "hashes": hashes,
        "core-metadata": True,
        "requires-python": ">=3.8",
    }
    return FetchedFile(project=project, entry=entry)


def writing(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.fixture
def cache(tmp_path: Path) -> IndexCache:
    return IndexCache(tmp_path / "index")


def test_files_are_kept_with_what_the_index_said_of_them(cache: IndexCache):
    one, other = fetched("tool-1.0.tar.gz", b"one"), fetched("tool-2.0.tar.gz", b"other")
    cache.add(other, writing(b"other"))
    cache.add(one, writing(b"one"))
    cache.add(one, writing(b"one"))
    assert cache.file(one.sha256).read_bytes() == b"one"
    entries = cache.entries()["tool"]
    assert [entry["filename"] for entry in entries] == ["tool-1.0.tar.gz", "tool-2.0.tar.gz"]
    assert entries[0] == {
        "filename": "tool-1.0.tar.gz",
        "hashes": {"sha256": one.sha256},
        "requires-python": ">=3.8",
    }
    cache.file(one.sha256).unlink()
    assert [entry["filename"] for entry in cache.entries()["tool"]] == ["tool-2.0.tar.gz"]


def test_what_was_damaged_on_its_way_is_not_kept(cache: IndexCache):
    one = fetched("tool-1.0.tar.gz", b"one")
    with pytest.raises(InfrastructureError, match="damaged"):
        cache.add(one, writing(b"another"))
    assert not cache.file(one.sha256).exists()
    assert cache.entries() == {}


def test_a_full_disk_is_told_as_that(cache: IndexCache, tmp_path: Path):
    with pytest.raises(NoSpaceError):
        cache.add(
            fetched("tool-1.0.tar.gz", b"one"), lambda _: Path("/dev/full").write_bytes(b"one")
        )
    file = tmp_path / "tool-1.0.tar.gz"
    file.write_bytes(b"one")
    with archives.pack({"/result/files/one": file}) as packed:
        container: Any = SimpleNamespace(
            get_archive=lambda _: (iter([packed.read()]), {}),
        )
        with pytest.raises(NoSpaceError):
            Service(cast("Any", None), container, {}).copy("/result/files/one", Path("/dev/full"))


def test_a_lock_holds_the_files_that_were_fetched(cache: IndexCache, tmp_path: Path):
    assert cache.read_lock(job_id("build:foo@debian-12")) is None
    other = fetched("other-1.0-py3-none-any.whl", b"other", "other")
    cache.write_lock(job_id("build:foo@debian-12"), [fetched("tool-1.0.tar.gz", b"one"), other])
    assert (tmp_path / "index/locks/build/foo@debian-12.json").exists()
    lock = cache.read_lock(job_id("build:foo@debian-12"))
    assert lock is not None
    assert {
        project: [entry["filename"] for entry in entries] for project, entries in lock.items()
    } == {
        "other": ["other-1.0-py3-none-any.whl"],
        "tool": ["tool-1.0.tar.gz"],
    }
    cache.write_lock(job_id("build:bar@debian-12"), [])
    assert (
        cache.read_lock(job_id("build:bar@debian-12")) == {}
    )  # it needed nothing, which is not the same as not to be known


def test_the_newest_files_that_fit_are_given(cache: IndexCache):
    for place, content in enumerate((b"1" * 10, b"2" * 10, b"3" * 100)):
        one = fetched(f"tool-{place}.tar.gz", content)
        cache.add(one, writing(content))
        os.utime(cache.file(one.sha256), (place, place))
    newest = [cache.file(sha256).read_bytes()[:1] for sha256 in cache.newest_files(115)]
    assert newest == [b"3", b"2"]
