"""What projects say of threads is read once for a file, and changes nothing that runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from builder.distributions.thread_statements import Quote, ThreadStatement
from builder.sources import Pure, Source, Sources, UpstreamWheel, statements
from builder.sources.statements import add_statements
from builder.store.store import Store
from tests.unit.local_index import archive
from tests.unit.wheels import add_wheel

QUOTE = Quote(file="README.md", line=1, text="Boxes are not thread-safe.")
WHEEL = "foo-1.0-cp314-cp314t-linux_x86_64.whl"


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def make_source(sha256: str = "", filename: str = "foo-1.0.tar.gz") -> Source:
    return Source(name="foo", version="1.0", kind="index", filename=filename, sha256=sha256)


def add_sdist(store: Store, tmp_path: Path) -> str:
    path = tmp_path / "foo-1.0.tar.gz"
    path.write_bytes(archive("tar.gz", {"foo-1.0/README.md": b"Boxes are not thread-safe."}))
    return store.add_file(path)


def read(source: Source, store: Store) -> ThreadStatement | None:
    return add_statements(Sources(found={"foo": source}), store).found["foo"].statement


def test_an_sdist_is_read_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = make_source(add_sdist(store, tmp_path))
    said = read(source, store)
    assert said == ThreadStatement(quotes=(QUOTE,))

    monkeypatch.setattr(statements, "read_sdist_statement", None)
    assert read(source, store) == said


def test_a_wheel_of_upstream_speaks_where_there_is_no_sdist(store: Store):
    wheel = UpstreamWheel(
        abi="cp314t", filename=WHEEL, sha256=add_wheel(store, WHEEL, "Boxes are thread-safe.")
    )
    said = read(replace(make_source(filename=""), take_from="wheel", wheels=(wheel,)), store)
    assert said is not None
    assert [quote.file for quote in said.quotes] == ["METADATA"]


def test_what_is_not_there_or_was_said_elsewhere_is_not_read(store: Store, tmp_path: Path):
    assert read(make_source("0" * 64), store) is None

    known = ThreadStatement(classifier="2 - Beta")
    sha256 = add_sdist(store, tmp_path)
    assert read(replace(make_source(sha256), statement=known), store) == known

    pure = Pure(name="foo", version="1.0", filename="foo-1.0-py3-none-any.whl", sha256=sha256)
    assert read(replace(make_source(sha256), only_pure=pure), store) is None


def test_no_project_ends_a_run_by_what_it_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(sdist: Path, filename: str) -> ThreadStatement:
        raise RecursionError

    monkeypatch.setattr(statements, "read_sdist_statement", fail)
    assert read(make_source(add_sdist(store, tmp_path)), store) is None


def test_a_source_keeps_it_in_its_record():
    source = replace(make_source("0" * 64), statement=ThreadStatement(quotes=(QUOTE,)))
    assert Source.from_record(source.record()) == source
    assert Source.from_record(make_source().record()) == make_source()
