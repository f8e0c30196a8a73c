"""Which wheels are loaded at all: what decides before any container is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from builder.check import load as loading
from builder.check import read as check
from builder.config import catalog
from builder.host import settings as host
from builder.plan.resources import Resources
from builder.store.store import Store
from tests import planted
from tests.planted_wheels import Members
from tests.unit.execute.test_executor import Watcher
from tests.unit.local_index import LocalIndex, serving

TABLE = catalog.load()
BASES = (TABLE.bases["debian-12"], TABLE.bases["debian-13"])


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalIndex]:
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (served, settings):
        monkeypatch.setattr(host, "index_settings", lambda: settings)
        yield served


@pytest.fixture
def place(tmp_path: Path) -> Iterator[loading.LoadEnvironment]:
    store = Store(tmp_path / "wheelhouse")
    # Whatever asks this engine for anything fails: there is none.
    yield loading.LoadEnvironment(
        bases=BASES, abis=tuple(TABLE.abis.values()), engine=cast("Any", None), store=store, resources=Resources(cpus=1, memory_bytes=8 << 30)
    )  # fmt: skip
    store.close()


def read(folder: Path, content: Members, recorded: bytes | None = None) -> check.CheckedWheel:
    path = folder / planted.name_of()
    path.write_bytes(planted.pack(content, recorded))
    return check.check_wheel(path)


def load(one: check.CheckedWheel, place: loading.LoadEnvironment) -> check.CheckedWheel:
    (told,) = loading.load_wheels([one], place, Watcher(), threading.Event())
    assert told.findings == one.findings
    assert told.loaded == ()
    return told


@pytest.mark.usefixtures("index")
def test_a_file_that_is_no_whole_wheel_is_never_loaded(
    tmp_path: Path, place: loading.LoadEnvironment
):
    told = load(read(tmp_path, planted.members(b"text"), recorded=b""), place)
    assert {(one.abi, one.base) for one in told.not_loaded} == {
        ("cp314", "debian-12"),
        ("cp314", "debian-13"),
    }
    assert {one.reason for one in told.not_loaded} == {"the wheel is damaged or unsafe"}


@pytest.mark.usefixtures("index")
def test_a_wheel_without_what_it_requires_is_not_loaded_and_that_is_no_finding(
    tmp_path: Path, place: loading.LoadEnvironment
):
    content = planted.members(b"text")
    content[f"{planted.DIST_INFO}/METADATA"] += b"Requires-Dist: nobody-has-this>=3\n"
    told = load(read(tmp_path, content), place)
    assert len(told.not_loaded) == 2
    assert "nothing satisfies nobody-has-this>=3" in told.not_loaded[0].reason


def test_a_name_that_is_no_wheels_is_left_alone(tmp_path: Path, place: loading.LoadEnvironment):
    path = tmp_path / "planted.whl"
    path.write_bytes(b"")
    assert load(check.check_wheel(path), place).not_loaded == ()
