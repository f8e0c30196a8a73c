import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import NewerLedgerError, WheelhouseLockedError
from builder.store.database import SCHEMA_VERSION
from builder.store.evidence import Evidence, JobOutcome
from builder.store.files import atomic_write
from builder.store.hashing import digest, digest_text
from builder.store.publications import ChannelChange
from builder.store.store import Store
from builder.untrusted.text import clean_text
from tests.job_ids import job_id


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def test_evidence_comes_back_as_it_was_recorded(store: Store):
    evidence = Evidence(
        key="k",
        job=job_id("build:x@y"),
        facts={"a": [1, None]},
        files={"f": "0"},
        log="logs/x",
        seconds=1.5,
    )
    store.put(evidence)
    assert store.get("k") == evidence
    assert store.get("other") is None
    assert store.recorded_durations() == {job_id("build:x@y"): 1.5}


def test_what_could_not_be_told_is_asked_again(store: Store):
    store.put(
        Evidence(
            key="k", job=job_id("build:x@y"), outcome=JobOutcome.UNDETERMINED, reason="no network"
        )
    )
    assert store.get("k") is None


@pytest.mark.parametrize(
    "text", ["\udcff", "\x1b[2J", "\u202e", "caf\xe9 \r", "\\\u200b"], ids=ascii
)
def test_what_an_older_farm_recorded_is_cleaned_when_it_is_read(store: Store, text: str):
    evidence = Evidence(key="k", job=job_id("load:x@y"), facts={"a": [{text: text}]})
    store.put(evidence)
    cleaned = clean_text(text)

    recorded = store.get("k")
    found = store.evidence_lookup()("k")

    assert recorded is not None
    assert found is not None
    assert recorded.facts == {"a": [{cleaned: cleaned}]}
    assert dict(found.facts) == recorded.facts


def test_a_key_can_be_made_of_any_text():
    assert digest("\udcff") != digest("\udcfe")
    assert digest_text("\udcff") != digest_text("?")


def test_what_is_recorded_is_read_whatever_its_size(store: Store):
    facts = {"text": "x" * 100_000, "number": 1 << 70, "accent": "\xe9"}
    store.put(Evidence(key="k", job=job_id("load:x@y"), facts=facts))

    recorded = store.get("k")

    assert recorded is not None
    assert recorded.facts == facts


def test_evidence_survives_the_process(store: Store, tmp_path: Path):
    store.put(Evidence(key="k", job=job_id("build:x")))
    again = Store(tmp_path / "wheelhouse")  # the first one was never closed, as after kill -9
    assert again.get("k") is not None
    assert again.farm_id == store.farm_id
    again.close()


def test_the_ledger_of_an_older_farm_is_taken_over(tmp_path: Path):
    folder = tmp_path / "older"
    Store(folder).close()
    database = sqlite3.connect(folder / "store" / "ledger.sqlite", isolation_level=None)
    for column in ("asked", "facts_version"):
        database.execute(f"ALTER TABLE evidence DROP COLUMN {column}")
    database.execute(
        "INSERT INTO evidence VALUES ('k', 'j:x', 'done', '', '{}', '{}', '', 1.0, 2.0)"
    )
    database.execute("PRAGMA user_version = 0")  # it knew of no version
    database.close()

    for _ in range(2):
        store = Store(folder)
        assert store.get("k") == Evidence(key="k", job=job_id("j:x"), seconds=1.0, facts_version=1)
        store.put(Evidence(key="n", job=job_id("j:y"), asked="{}", facts_version=3))
        newer = store.evidence_lookup()("n")
        assert newer is not None
        assert newer.facts_version == 3
        store.close()


def test_a_ledger_of_before_there_were_channels_gets_what_it_lacks(tmp_path: Path):
    folder = tmp_path / "older"
    with Store(folder) as store:
        store.publications.add_distributions([("a" * 64, "", "", 1)])
    path = folder / "store" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("ALTER TABLE distributions DROP COLUMN requires")
        database.execute("DROP TABLE channel_changes")
        database.execute("PRAGMA user_version = 1")

    with Store(folder) as store:
        assert store.publications.requirements() == {}
        store.publications.set_requirements({"a" * 64: '["foo"]'})
        assert store.publications.requirements() == {"a" * 64: '["foo"]'}
        assert store.publications.distributions()["a" * 64][2] == 1
        assert store.publications.channel_changes() == []


def test_promotions_and_rollbacks_are_kept_in_their_order(store: Store):
    first = ChannelChange(kind="promotion", at=9.0, by="ada", reason="new", releases=[{"a": 1}])
    second = ChannelChange(kind="rollback", at=1.0, by="eve")  # its clock was set back
    for change in (first, second):
        store.publications.add_snapshot({"simple": {}}, lambda *_: "", change)
    store.publications.add_snapshot({"simple": {}}, lambda *_: "")
    newest_first = store.publications.channel_changes()
    assert [change.kind for change in newest_first] == ["rollback", "promotion"]
    assert newest_first[1] == replace(first, snapshot=store.publications.snapshot_ids()[0])


def test_the_ledger_of_a_newer_farm_is_refused_and_left_alone(tmp_path: Path):
    folder = tmp_path / "newer"
    with Store(folder) as store:
        store.put(Evidence(key="k", job=job_id("j:x")))
    path = folder / "store" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(NewerLedgerError, match=r"a newer one wrote it.*--wheelhouse DIR"):
        Store(folder)

    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT key FROM evidence").fetchall() == [("k",)]


def test_what_a_transaction_did_is_undone_where_it_fails(store: Store):
    def fail_midway() -> None:
        with store.database.transaction() as connection:
            connection.execute("INSERT INTO notes VALUES ('a', 'b')")
            raise KeyError

    with pytest.raises(KeyError):
        fail_midway()
    assert store.get_note("a") is None
    store.set_note("a", "c")
    assert store.get_note("a") == "c"


def test_files_are_kept_by_content(store: Store, tmp_path: Path):
    source = tmp_path / "file"
    source.write_text("content")
    sha256 = store.add_file(source)
    assert store.file(sha256).read_text() == "content"
    assert store.has_files({"any": sha256})
    assert not store.has_files({"any": "0" * 64})


def test_one_farm_at_a_time(store: Store, tmp_path: Path):
    other = Store(tmp_path / "wheelhouse")
    with (
        store.lock(),
        pytest.raises(WheelhouseLockedError, match=r"process \d+, since"),
        other.lock(),
    ):
        pass
    with other.lock():
        pass
    other.close()


def test_nothing_half_written_is_seen(tmp_path: Path):
    target = tmp_path / "folder" / "file"
    with atomic_write(target) as aside:
        aside.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"

    def fail() -> None:
        with atomic_write(target) as aside:
            aside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_resolutions_age(store: Store, tmp_path: Path):
    store.record_resolution("q", {"a": 1})
    assert store.get_resolution("q", 60) == {"a": 1}
    with sqlite3.connect(tmp_path / "wheelhouse/store/ledger.sqlite") as database:
        database.execute("UPDATE resolutions SET recorded_at = recorded_at - 100")
    database.close()
    assert store.get_resolution("q", 60) is None
    assert store.get_resolution("q", None) == {"a": 1}


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_a_digest_does_not_depend_on_the_order_of_a_mapping(mapping):
    assert digest(mapping) == digest(dict(reversed(mapping.items())))


def test_a_digest_tells_parts_apart():
    assert digest("a", "b") != digest("ab")
    assert digest(["a"], "b") != digest("a", ["b"])
