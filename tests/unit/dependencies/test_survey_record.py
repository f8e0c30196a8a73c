"""What a survey said of a file is kept until the next survey of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.gather import Survey
from builder.dependencies.survey import Status
from builder.dependencies.survey_record import read_survey, record_survey
from builder.store.store import Store
from tests.unit.farm.migration_samples import NOW, survey_row


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


def test_the_newest_survey_of_each_file_is_kept(store: Store, tmp_path: Path):
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    record_survey(store, one, Survey(rows=(survey_row("foo"),)), NOW)
    left_out = (SkippedDependency(name="Some_Thing", why="a URL"),)
    rows = (survey_row("foo", free_threaded=Status.BLOCKED),)
    record_survey(store, one, Survey(rows=rows, left_out=left_out), NOW)

    recorded = read_survey(store, one)
    assert recorded is not None
    assert recorded.at == "2026-01-01 12:00 UTC"
    assert recorded.releases["foo"].version == "1.0"
    assert recorded.releases["foo"].outlooks == {"3.14": "ready", "3.14t": "blocked"}
    assert recorded.left_out == ("some-thing",)
    assert read_survey(store, other) is None


def test_a_file_is_the_same_by_whatever_path_it_is_named(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    record_survey(store, tmp_path / "one.txt", Survey(rows=()), NOW)
    monkeypatch.chdir(tmp_path)
    assert read_survey(store, Path("one.txt")) is not None


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"schema_version": 2, "at": "", "releases": {}}', '{"at": "", "releases": {}, "x": 1}'],
    ids=["empty", "list", "newer", "unknown key"],
)  # fmt: skip
def test_what_cannot_be_read_counts_as_no_survey(store: Store, tmp_path: Path, text: str):
    store.set_note(f"survey of {tmp_path / 'one.txt'}", text)
    assert read_survey(store, tmp_path / "one.txt") is None
