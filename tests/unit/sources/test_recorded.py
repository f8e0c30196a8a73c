from pathlib import Path
from typing import Any

from builder.host.settings import IndexSettings
from builder.store.store import Store
from tests.unit.local_index import LocalIndex, sdist, serving, wheel
from tests.unit.sources.resolving import ask


def test_answers_are_remembered_and_a_silent_index_is_bridged(tmp_path: Path, store: Store):
    (tmp_path / "index").mkdir()
    with serving(tmp_path / "index") as (index, settings):
        index.add("foo", "foo-1.0.tar.gz", sdist("foo", "1.0"))
        first = ask("[packages.foo]", store, settings)
    assert ask("[packages.foo]", store, settings, fresh_s=60) == first
    assert ask("[packages.foo]", store, settings) == first
    assert ask("[packages.bar]", store, settings).faults["bar"].code == "WF106"


def test_a_changed_local_sdist_is_noticed(
    served: tuple[LocalIndex, IndexSettings], store: Store, tmp_path: Path
):
    text = '[packages.foo]\nsdist = "foo.tar.gz"'
    for version in ("1.0", "1.1"):
        (tmp_path / "foo.tar.gz").write_bytes(sdist("foo", version))
        assert ask(text, store, served[1], tmp_path, fresh_s=60).found["foo"].version == version


def test_sources_come_back_from_json_as_they_were(
    served: tuple[LocalIndex, IndexSettings], store: Store
):
    index, settings = served
    index.add("app", "app-1.0.tar.gz", sdist("app", "1.0", requires=("pure",)))
    index.add("pure", "pure-2.0-py3-none-any.whl", wheel("pure", "2.0"))
    source = ask("[packages.app]", store, settings).found["app"]
    record: dict[str, Any] = source.record()
    assert type(source).from_record(record) == source
