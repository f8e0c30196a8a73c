"""What containers write is measured when the free space shrinks, and too much of it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from builder.engine import disk
from builder.engine.disk import DiskLimits, DiskWatch, EngineStorage, FreeSpace
from builder.errors import InfrastructureError

MIB = 1 << 20
LIMITS = DiskLimits(file_system_bytes=4 * MIB, volume_bytes=2 * MIB, inodes=100)


@dataclass(kw_only=True)
class Api:
    """What the engine says of the one container.

    Attributes:
        upper: the folder of what it wrote.
        volume: the folder of its volume.
        written: what the engine itself counts.
    """

    upper: Path | None = None
    volume: Path | None = None
    written: int = 0
    inspected: int = 0

    def inspect_container(self, _: str) -> dict[str, Any]:
        self.inspected += 1
        mounts = []
        if self.volume:
            mounts.append({"Type": "volume", "Name": "cache", "Source": str(self.volume)})
        data = {"UpperDir": str(self.upper)} if self.upper else {}
        return {"GraphDriver": {"Data": data}, "Mounts": mounts}

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return [{"SizeRw": self.written}]


@dataclass(kw_only=True)
class Storage:
    """A disk of which the test says how much is free."""

    free: FreeSpace | None = field(default_factory=lambda: FreeSpace(bytes=50 << 30, inodes=10**7))

    def read_free_space(self) -> FreeSpace | None:
        return self.free


def watch(api: Api, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> DiskWatch:
    monkeypatch.setattr(disk, "_CHECK_S", 0.0)
    client = type("Client", (), {"api": api})()
    return DiskWatch(cast("Any", client), cast("EngineStorage", storage), LIMITS)


def test_it_is_measured_when_the_free_space_shrinks(monkeypatch: pytest.MonkeyPatch):
    storage = Storage()
    one = watch(Api(), storage, monkeypatch)
    assert not one.is_due()
    storage.free = FreeSpace(bytes=(50 << 30) - 65 * MIB, inodes=10**7)
    assert one.is_due()
    assert not one.is_due()  # nothing more was written since
    storage.free = FreeSpace(bytes=(50 << 30) - 65 * MIB, inodes=10**7 - 30_000)
    assert one.is_due()


def test_it_is_measured_now_and_then_where_the_disk_cannot_be_seen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "_MEASURE_S", 0.0)
    assert watch(Api(), Storage(free=None), monkeypatch).is_due()


def test_what_is_too_much_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    upper, volume = tmp_path / "upper", tmp_path / "volume"
    upper.mkdir()
    volume.mkdir()
    one = watch(Api(upper=upper, volume=volume), Storage(), monkeypatch)
    assert one.measure("x") is None

    (volume / "object").write_bytes(b"x" * 3 * MIB)
    assert "compiler cache, of 2 MiB" in (one.measure("x") or "")
    (volume / "object").unlink()

    for number in range(200):
        (upper / str(number)).touch()
    assert "files, of 100" in (one.measure("x") or "")

    (upper / "large").write_bytes(b"x" * 5 * MIB)
    assert "5 MiB in its file system, of 4 MiB" in (one.measure("x") or "")


def test_a_link_out_of_the_container_counts_as_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    upper = tmp_path / "upper"
    upper.mkdir()
    (tmp_path / "elsewhere").write_bytes(b"x" * 9 * MIB)
    (upper / "link").symlink_to(tmp_path)
    assert watch(Api(upper=upper), Storage(), monkeypatch).measure("x") is None


def test_the_engine_counts_what_cannot_be_read_from_here(monkeypatch: pytest.MonkeyPatch):
    one = watch(Api(upper=Path("/no/such/folder"), written=5 * MIB), Storage(), monkeypatch)
    assert "5 MiB in its file system" in (one.measure("x") or "")


def test_no_job_starts_without_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    EngineStorage(str(tmp_path), "unix:///run/docker.sock").check_reserve()
    monkeypatch.setattr(disk, "RESERVE_BYTES", 1 << 60)
    with pytest.raises(InfrastructureError, match="no job is started"):
        EngineStorage(str(tmp_path), "unix:///run/docker.sock").check_reserve()
    EngineStorage(str(tmp_path), "tcp://elsewhere.invalid:2375").check_reserve()


def test_who_took_the_reserve_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    limits = DiskLimits(file_system_bytes=1 << 40, volume_bytes=1 << 40, inodes=10**9)
    storage = Storage(free=FreeSpace(bytes=1 << 30, inodes=10**7))
    for written, is_blamed in ((10 * MIB, False), (2 << 30, True)):
        client = type("Client", (), {"api": Api(written=written)})()
        one = DiskWatch(cast("Any", client), cast("EngineStorage", storage), limits)
        if is_blamed:
            with pytest.raises(InfrastructureError, match="nearly full"):
                one.measure("x")
        else:
            assert one.measure("x") is None
