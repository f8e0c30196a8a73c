import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from builder import index
from builder.errors import UnknownSnapshotError
from builder.index import ServedFile
from builder.store.store import Store
from tests.unit.wheels import add_wheel

GIL = "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def wheel(
    store: Store, note: str = "", requires_python: str = ">=3.9", yanked: str = ""
) -> ServedFile:
    path = store.wheelhouse / "incoming"
    with zipfile.ZipFile(path, "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: foo-bar\nVersion: 1.0\nRequires-Python: {requires_python}\n\n{note}"
        archive.writestr("foo_bar-1.0.dist-info/METADATA", metadata)
    return ServedFile(filename=GIL, sha256=store.add_file(path), yanked=yanked)


def page(store: Store, channel: str = "simple") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (store.wheelhouse / channel / "foo-bar/index.json").read_text()
    )
    return found


def test_a_file_comes_with_its_metadata_size_and_time(store: Store):
    index.publish(index.describe([wheel(store)], store), store)
    (file,) = page(store)["files"]
    served = store.wheelhouse / "simple/foo-bar" / f"{GIL}.metadata"
    assert b"Name: foo-bar" in served.read_bytes()
    assert file["core-metadata"] == file["dist-info-metadata"] == {"sha256": index_sha(served)}
    assert file["requires-python"] == ">=3.9"
    assert file["size"] == (store.wheelhouse / "simple/foo-bar" / GIL).stat().st_size
    assert file["upload-time"].endswith("Z")
    assert page(store)["versions"] == ["1.0"]
    assert page(store)["meta"]["api-version"] == "1.1"
    text = (store.wheelhouse / "simple/foo-bar/index.html").read_text()
    assert f'data-core-metadata="sha256={index_sha(served)}"' in text


def index_sha(path: Path) -> str:
    from builder.store.files import file_sha256

    return file_sha256(path)


def test_quarantine_is_yanked_with_the_reason_escaped(store: Store):
    refused = wheel(store, yanked='racy: "><script>alert(1)</script>')
    index.publish({}, store, index.describe([refused], store))
    assert page(store, index.QUARANTINE_CHANNEL)["files"][0]["yanked"] == refused.yanked
    assert (
        "<script>"
        not in (store.wheelhouse / index.QUARANTINE_CHANNEL / "foo-bar/index.html").read_text()
    )
    assert not (store.wheelhouse / "simple/foo-bar").exists()


def test_metadata_of_absurd_size_is_not_served(store: Store):
    content = index.describe([wheel(store, note="x" * (9 << 20))], store)
    published = index.publish(content, store)
    assert "more than 8 MiB" in published.refused[GIL]
    assert not (store.wheelhouse / "simple/foo-bar").exists()


def test_rolling_back_returns_to_what_was_published(store: Store):
    first = index.publish(index.describe([wheel(store, "first")], store), store)
    before = page(store)
    index.publish(index.describe([wheel(store, "second")], store), store)
    assert page(store) != before
    assert index.rollback(store).snapshot == first.snapshot
    assert page(store) == before
    assert [one.is_current for one in index.list_snapshots(store)] == [True, False]


def test_rolling_back_to_what_is_not_there_says_so(store: Store):
    with pytest.raises(UnknownSnapshotError, match="no snapshot before"):
        index.rollback(store)
    first = index.publish(index.describe([one := wheel(store)], store), store)
    index.publish({}, store)
    with pytest.raises(UnknownSnapshotError, match="begins so"):
        index.rollback(store, "zz")
    store.file(one.sha256).unlink()
    with pytest.raises(UnknownSnapshotError, match=f"no longer has {GIL}"):
        index.rollback(store, first.snapshot)


def test_an_interrupted_publication_is_completed(store: Store):
    content = index.describe([wheel(store)], store)
    index.publish(content, store)
    (store.wheelhouse / "simple/.published").unlink()
    (store.wheelhouse / "simple/foo-bar/index.html").unlink()
    (store.wheelhouse / "simple/stray").mkdir()
    index.publish(content, store)
    assert (store.wheelhouse / "simple/foo-bar/index.html").exists()
    assert not (store.wheelhouse / "simple/stray").exists()


def test_only_what_changed_is_reported_and_written(store: Store):
    content = dict(index.describe([wheel(store)], store))
    index.publish(content, store)
    name = "other-1-py3-none-any.whl"
    other = index.Entry(filename=name, sha256=add_wheel(store, name))
    published = index.publish({**content, **index.make_manifest([other])}, store)
    assert published.changed_projects["simple"] == ("other",)
