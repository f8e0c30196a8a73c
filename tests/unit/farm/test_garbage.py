import hashlib
import json
import os
from functools import partial
from pathlib import Path

import pytest

from builder import index
from builder.farm import garbage
from builder.farm.measurement_history import pin_measurement
from builder.proxy.cache import FetchedFile, IndexCache
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.job_ids import job_id
from tests.unit.wheels import add_wheel

DAY = 86_400.0
NOW = 1_000 * DAY


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def add(store: Store, content: str) -> str:
    path = store.wheelhouse / "incoming"
    path.write_text(content)
    sha256 = store.add_file(path)
    path.unlink()
    return sha256


def record(store: Store, key: str, job: JobId, days_ago: float, content: str = "") -> str:
    """Record evidence with a file and a log; return the file's sha256."""
    content = content or key
    sha256 = add(store, content)
    log = store.log_path(job, key)
    log.write_text("log")
    store.put(
        Evidence(key=key, job=job, files={"f": sha256}, log=str(log.relative_to(store.wheelhouse)))
    )
    at = NOW - days_ago * DAY
    store.database.execute("UPDATE evidence SET recorded_at = ? WHERE key = ?", (at, key))
    os.utime(log, (at, at))
    return sha256


def verdicts(store: Store, *names: str, findings: tuple[str, ...] = ()) -> None:
    packages = [
        {"name": name, "abis": {"cp314": {"findings": [{"id": one} for one in findings]}}}
        for name in names
    ]
    (store.wheelhouse / "verdicts.json").write_text(json.dumps({"packages": packages}))


def run_of(*keys: str, jobs: tuple[JobId, ...] = ()) -> garbage.MatrixUsage:
    return garbage.MatrixUsage(jobs=frozenset(jobs), keys=frozenset(keys), sdists=frozenset())


def collect(
    store: Store,
    *used: str,
    jobs: tuple[JobId, ...] = (),
    keep_days: float = 30,
    most_bytes: int | None = None,
) -> garbage.Garbage:
    found = garbage.find_garbage(
        store, run_of(*used, jobs=jobs), now=NOW, keep_days=keep_days, most_bytes=most_bytes
    )
    garbage.remove_garbage(found, store)
    return found


def test_what_a_run_would_use_and_the_newest_of_each_job_stay(store: Store):
    verdicts(store, "foo")
    used = record(store, "1" * 64, job_id("build:foo@x"), 90)
    newest = record(store, "2" * 64, job_id("build:foo@x"), 80)
    old = record(store, "3" * 64, job_id("build:gone@x"), 70)
    young = record(store, "4" * 64, job_id("build:gone@x"), 5)
    found = collect(store, "1" * 64)
    assert found.keys == ("3" * 64,)
    assert store.all_files() == {used, newest, young}
    assert old not in store.all_files()
    assert {path.name for path in (store.wheelhouse / "logs/build").iterdir()} == {
        "foo@x.11111111.log", "foo@x.22222222.log", "gone@x.44444444.log",
    }  # fmt: skip


def test_the_newest_of_each_application_stays_and_no_other_of_its_name(store: Store):
    (store.wheelhouse / "verdicts.json").write_text(
        json.dumps({"packages": [], "applications": [{"name": "shop"}]})
    )
    record(store, "1" * 64, job_id("application:shop@cp314/debian-12"), 90)
    newest = record(store, "2" * 64, job_id("application:shop@cp314/debian-12"), 80)
    record(store, "3" * 64, job_id("application:gone@cp314/debian-12"), 70)
    record(store, "4" * 64, job_id("build:shop@debian-12"), 70)
    assert sorted(collect(store).keys) == ["1" * 64, "3" * 64, "4" * 64]
    assert store.all_files() == {newest}


def test_what_snapshots_serve_stays(store: Store):
    names = [f"foo-{version}-cp314-cp314-manylinux_2_17_x86_64.whl" for version in ("1.0", "1.1")]
    wheels = [add_wheel(store, name) for name in names]
    metadata = add(store, "METADATA")
    for name, sha256 in zip(names, wheels, strict=True):
        index.publish(
            index.make_manifest([index.Entry(filename=name, sha256=sha256, metadata=metadata)]),
            store,
        )
    loose = add(store, "nobody's")
    for path in (store.folder / "files").rglob("*"):
        os.utime(path, (0, 0))
    collect(store)
    assert store.all_files() == {*wheels, metadata}
    assert loose not in store.all_files()
    assert index.rollback(store).changed_projects["simple"] == ("foo",)


def test_what_only_the_canary_channel_serves_stays(store: Store):
    name = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
    sha256 = add_wheel(store, name)
    metadata = add(store, "METADATA")
    waiting = index.make_manifest([index.Entry(filename=name, sha256=sha256, metadata=metadata)])
    index.publish({}, store, canary=waiting)
    for path in (store.folder / "files").rglob("*"):
        os.utime(path, (0, 0))
    collect(store)
    assert store.all_files() == {sha256, metadata}
    assert (store.wheelhouse / "canary/foo" / name).exists()


def test_sources_that_were_resolved_stay(store: Store):
    sdist = add(store, "sdist")
    os.utime(store.file(sdist), (0, 0))
    store.record_resolution("sources", {"found": {"foo": {"sha256": sdist}}, "faults": {}})
    store.record_resolution("page", ["anything"])
    store.database.execute("UPDATE resolutions SET recorded_at = 0")
    collect(store)
    assert store.all_files() == {sdist}
    assert store.get_resolution("sources", None) is not None
    assert store.get_resolution("page", None) is None


def test_what_jobs_are_locked_to_stays_of_the_package_index(store: Store):
    cache = IndexCache(store.folder / "index")
    kept, loose, young = (
        FetchedFile(
            project="tool",
            entry={
                "filename": name,
                "hashes": {"sha256": hashlib.sha256(name.encode()).hexdigest()},
            },
        )
        for name in ("tool-1.0.tar.gz", "tool-2.0.tar.gz", "tool-3.0.tar.gz")
    )
    for one in (kept, loose, young):
        cache.add(one, partial(Path.write_text, data=one.filename))
        os.utime(cache.file(one.sha256), (NOW, NOW) if one is young else (0, 0))
    cache.write_lock(job_id("build:foo@x"), [kept])
    half = cache.file(kept.sha256).with_name(f".{kept.sha256}.half")
    half.write_text("half")
    name = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
    same = add(store, loose.filename)  # the farm has this file for a reason of its own, too
    index.publish(index.make_manifest([index.Entry(filename=name, sha256=same)]), store)
    assert same == loose.sha256
    store.publications.add_distributions([(same, "", ">=3.9", 1)])
    cache.write_lock(job_id("build:gone@x"), [loose])
    os.utime(cache.folder / "locks/build/gone@x.json", (0, 0))
    collect(store, jobs=(job_id("build:foo@x"),))
    assert cache.read_lock(job_id("build:gone@x")) is None
    assert [one.filename for one in (kept, loose, young) if cache.file(one.sha256).exists()] == [
        kept.filename, young.filename,
    ]  # fmt: skip
    assert not half.exists()
    assert cache.read_lock(job_id("build:foo@x")) == {"tool": [kept.entry]}
    assert store.all_files() == {same}
    assert store.database.fetch_one(
        "SELECT COUNT(*) FROM distributions WHERE sha256 = ?", (same,)
    ) == (1,)
    collect(store, jobs=(job_id("build:foo@x"),), keep_days=10_000, most_bytes=0)
    assert [one.filename for one in (kept, loose, young) if cache.file(one.sha256).exists()] == [
        kept.filename
    ]


def test_replays_of_findings_that_are_told_stay(store: Store):
    verdicts(store, "foo", findings=("abc",))
    for identity in ("abc", "old"):
        for path in (
            store.wheelhouse / f"replays/{identity}.json",
            store.wheelhouse / f"logs/replay/{identity}.log",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
            os.utime(path, (0, 0))
    collect(store)
    assert sorted(
        path.stem for path in store.wheelhouse.rglob("*.*") if path.stem in {"abc", "old"}
    ) == ["abc", "abc"]


def test_a_size_bounds_what_nothing_refers_to(store: Store):
    verdicts(store, "foo")
    kept = record(store, "1" * 64, job_id("build:foo@x"), 90, "x" * 5000)
    older = record(store, "2" * 64, job_id("build:gone@x"), 3, "y" * 1000)
    newer = record(store, "3" * 64, job_id("build:other@x"), 2, "z" * 1000)
    found = garbage.find_garbage(store, run_of(), now=NOW, keep_days=30, most_bytes=6500)
    assert {piece.path.name for piece in found.files} >= {older}
    assert store.all_files() == {kept, older, newer}  # nothing is removed while it is looked for
    garbage.remove_garbage(found, store)
    assert store.all_files() == {kept, newer}
    assert store.get("2" * 64) is None
    assert store.get("3" * 64) is not None
    found = collect(store, most_bytes=0)
    assert store.all_files() == {kept}
    assert found.kept_bytes == found.referenced_bytes >= 5000


def test_an_image_goes_with_its_evidence(store: Store):
    def image(key: str, job: JobId, days_ago: float, tag: str) -> None:
        store.put(Evidence(key=key, job=job, facts={"tag": tag}))
        at = NOW - days_ago * DAY
        store.database.execute("UPDATE evidence SET recorded_at = ? WHERE key = ?", (at, key))

    image("1" * 64, job_id("image:builder-x"), 90, "builder:old")
    image("2" * 64, job_id("image:builder-x"), 80, "builder:new")
    image("3" * 64, job_id("image:verify-x"), 70, "verify:same")
    image("4" * 64, job_id("image:verify-x"), 5, "verify:same")
    image("5" * 64, job_id("image:builder-y"), 90, "nobody's")
    image("6" * 64, job_id("image:builder-y"), 5, "young")
    found = garbage.find_garbage(
        store, run_of(jobs=(job_id("image:builder-x"),)), now=NOW, keep_days=30, most_bytes=None
    )
    assert found.images == {"1" * 64: "builder:old", "5" * 64: "nobody's"}
    garbage.remove_garbage(found, store, images=False)
    assert [store.get(str(number) * 64) is None for number in range(1, 7)] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    garbage.remove_garbage(found, store)
    assert [store.get(str(number) * 64) is None for number in range(1, 7)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_what_a_killed_farm_was_about_to_rename_goes(store: Store):
    sha256 = record(store, "1" * 64, job_id("image:x"), 1)
    half = store.file(sha256).with_name(f".{sha256}.half")
    half.write_text("half")
    contents = store.folder / "contents/index.gz"
    contents.parent.mkdir()
    contents.write_text("old")
    os.utime(contents, (0, 0))
    collect(store)
    assert not half.exists()
    assert not contents.exists()
    assert store.all_files() == {sha256}


def test_listings_without_a_snapshot_are_forgotten(store: Store):
    name = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
    index.publish(
        index.make_manifest([index.Entry(filename=name, sha256=add_wheel(store, name))]), store
    )
    store.database.execute("INSERT INTO listings VALUES ('old', '[]')")
    collect(store)
    assert [key for (key,) in store.database.fetch_all("SELECT digest FROM listings")] != ["old"]
    assert store.database.fetch_one("SELECT COUNT(*) FROM listings") == (1,)


def test_the_newest_measurement_and_the_one_that_others_are_compared_with_stay(store: Store):
    (store.wheelhouse / "verdicts.json").write_text(
        json.dumps({"packages": [], "applications": [{"name": "shop"}]})
    )
    job = job_id("measurement:shop@debian-12")
    pinned, between, newest = ("1" * 64, "2" * 64, "3" * 64)
    record(store, pinned, job, 90)
    pin_measurement(store, job)
    record(store, between, job, 80)
    record(store, newest, job, 70)
    collect(store)
    assert [store.get(key) is not None for key in (pinned, between, newest)] == [True, False, True]
