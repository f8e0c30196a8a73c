"""Which wheels are put under threads at all, and of which the sdist is known: what decides before any container."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.version import Version

from builder.check import read as check
from builder.check import threads
from builder.check.load import LoadEnvironment
from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.host import settings as host
from builder.plan.resources import Resources
from builder.store.store import Store
from tests import planted
from tests.unit.execute.test_executor import Watcher
from tests.unit.local_index import LocalIndex, serving

TABLE = catalog.load()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (served, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        yield served


@pytest.fixture
def place(tmp_path: Path) -> Iterator[LoadEnvironment]:
    store = Store(tmp_path / "wheelhouse")
    # Whatever asks this engine for anything fails: there is none.
    yield LoadEnvironment(
        bases=(TABLE.bases["debian-12"],),
        abis=tuple(TABLE.abis.values()),
        engine=cast("Any", None),
        store=store,
        resources=Resources(cpus=1, memory_bytes=8 << 30),
    )
    store.close()


def read(folder: Path, abi: str) -> check.CheckedWheel:
    """Read a wheel whose one native file is none."""
    tag = f"cp314-{abi}-{planted.PLATFORM}"
    path = folder / planted.name_of(abi)
    path.write_bytes(planted.pack(planted.members(b"text", tags=(tag,))))
    return check.check_wheel(path)


def try_one(wheel: check.CheckedWheel, place: LoadEnvironment) -> str:
    """Put one wheel under threads; return why it is not."""
    effort = EFFORTS[EffortLevel.QUICK]
    settings = threads.ThreadSettings(effort=effort, sdists={}, packages={})
    (tried,) = threads.try_threads([wheel], settings, place, Watcher(), threading.Event())
    assert tried.findings == wheel.findings
    assert tried.threads is not None
    assert tried.threads.coverage is None
    return tried.threads.reason


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("abi", "reason"),
    [
        ("cp314", "it is for no free-threaded interpreter"),
        ("cp314t", "it has no native code"),
    ],
)
def test_a_wheel_that_threads_cannot_break_is_not_tried(
    tmp_path: Path, place: LoadEnvironment, abi: str, reason: str
):
    assert try_one(read(tmp_path, abi), place) == reason


@pytest.mark.usefixtures("index")
def test_a_damaged_wheel_is_not_tried(tmp_path: Path, place: LoadEnvironment):
    path = tmp_path / planted.name_of("cp314t")
    path.write_bytes(planted.pack(planted.members(b"text"), recorded=b""))
    reason = try_one(check.check_wheel(path), place)
    assert reason == "no interpreter of the farm takes it, or it is damaged or unsafe"


def test_sdists_are_known_by_the_release_that_their_names_tell(
    tmp_path: Path, place: LoadEnvironment
):
    path = tmp_path / "Some_Thing-1.0.tar.gz"
    path.write_bytes(b"an sdist")
    sdists = threads.read_sdists([path], place.store)
    assert list(sdists) == [("some-thing", Version("1.0"))]
    (sdist,) = sdists.values()
    assert place.store.file(sdist.sha256).read_bytes() == b"an sdist"


@pytest.mark.parametrize(
    ("name", "message"),
    [("nothing-1.0.tar.gz", "there is no such file"), ("noversion.tar.gz", "noversion.tar.gz")],
)
def test_what_is_no_sdist_is_refused(
    tmp_path: Path, place: LoadEnvironment, name: str, message: str
):
    if name == "noversion.tar.gz":
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(check.NoWheelError, match=message):
        threads.read_sdists([tmp_path / name], place.store)
