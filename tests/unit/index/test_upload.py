import threading
import zipfile
from pathlib import Path

import pytest

from builder import index
from builder.errors import Interrupted, TargetError
from builder.index import upload
from builder.store.store import Store
from tests.unit.wheels import add_wheel

WHEEL = "foo_bar-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
NOWHERE = "http://farm:secret@127.0.0.1:9/up/"  # the port that discards what it gets, where anything listens at all


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def published(
    store: Store, metadata: str = "Metadata-Version: 2.1\nName: foo-bar\nVersion: 1.0\n"
) -> str:
    path = store.wheelhouse / "incoming"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("foo_bar-1.0.dist-info/METADATA", metadata)
    sha256 = store.add_file(path)
    index.publish(index.describe([index.ServedFile(filename=WHEEL, sha256=sha256)], store), store)
    return sha256


def test_a_target_is_known_by_its_address_without_credentials():
    assert upload.find_target(NOWHERE).url == "http://127.0.0.1:9/up/"


@pytest.mark.parametrize("name", ["ftp://farm:secret@there/", "there-is-no-such-section"])
def test_what_is_no_target_is_refused_without_its_credentials(name: str):
    with pytest.raises(TargetError) as caught:
        upload.find_target(name)
    assert "secret" not in str(caught.value)
    assert "pypirc" in str(caught.value)


def test_what_is_there_is_not_sent(store: Store):
    to = upload.find_target(NOWHERE)
    store.publications.add_upload(to.url, WHEEL, published(store))
    (done,) = upload.upload(store, to, print, threading.Event())
    assert (done.filename, done.outcome) == (WHEEL, upload.UploadOutcome.PRESENT)


def test_a_damaged_file_is_not_sent(store: Store):
    path = store.file(published(store))
    for damage in (lambda: path.write_bytes(b"x"), path.unlink):
        damage()
        (done,) = upload.upload(store, upload.find_target(NOWHERE), print, threading.Event())
        assert (done.outcome, "damaged" in done.detail) == (upload.UploadOutcome.REFUSED, True)


def test_what_twine_does_not_take_is_refused(store: Store):
    published(store, "Metadata-Version: 99.9\nName: foo-bar\nVersion: 1.0\n")
    (done,) = upload.upload(store, upload.find_target(NOWHERE), print, threading.Event())
    assert (done.outcome, "version" in done.detail) == (upload.UploadOutcome.REFUSED, True)


def test_a_wheel_of_another_project_is_not_uploaded(store: Store):
    sha256 = published(store)
    foreign = add_wheel(store, "numpy-1.0-py3-none-any.whl")
    store.database.execute(
        "UPDATE listings SET content = replace(content, ?, ?)", (sha256, foreign)
    )
    (done,) = upload.upload(store, upload.find_target(NOWHERE), print, threading.Event())
    assert done.outcome is upload.UploadOutcome.REFUSED
    assert "is of numpy 1.0" in done.detail


def test_it_stops_when_asked_to(store: Store):
    published(store)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        upload.upload(store, upload.find_target(NOWHERE), print, stop)


def test_an_empty_index_uploads_nothing(store: Store):
    assert upload.upload(store, upload.find_target(NOWHERE), print, threading.Event()) == ()
