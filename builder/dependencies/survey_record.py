"""What a survey said of a file, as the wheelhouse keeps it: the newest survey of each file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from builder.dependencies.survey import Status

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from builder.dependencies.gather import Survey
    from builder.store.store import Store


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SurveyedRelease(_Record):
    """One dependency."""

    version: str
    """The release that was asked for."""

    outlooks: dict[str, Status]
    """By move, `3.14` and `3.14t`."""


class RecordedSurvey(_Record):
    """A survey of one file."""

    schema_version: Literal[1] = 1

    at: str
    """When it was made, UTC: `2026-01-31 12:00 UTC`."""

    releases: dict[str, SurveyedRelease]
    """By canonical name."""

    left_out: tuple[str, ...] = ()
    """Canonical names of those that could not be surveyed."""


def record_survey(store: Store, file: Path, survey: Survey, now: datetime.datetime) -> None:
    """Keep what a survey said of a file, in place of what an earlier one said.

    Args:
        store: the store of the wheelhouse.
        file: the file of dependencies.
        survey: what was found.
        now: when that was, UTC.
    """
    releases: dict[str, SurveyedRelease] = {}
    for row in survey.rows:
        outlooks = {move: outlook.status for move, outlook in row.outlooks.items()}
        releases[row.name] = SurveyedRelease(version=row.version, outlooks=outlooks)

    left_out = dict.fromkeys(canonicalize_name(skipped.name) for skipped in survey.left_out)
    record = RecordedSurvey(
        at=now.strftime("%Y-%m-%d %H:%M UTC"), releases=releases, left_out=tuple(left_out)
    )
    store.set_note(_name_note(file), record.model_dump_json())


def read_survey(store: Store, file: Path) -> RecordedSurvey | None:
    """Return what the newest survey said of a file.

    None means that there was none, or that a version of wheelfarm with another format recorded it.
    """
    text = store.get_note(_name_note(file))
    if text is None:
        return None

    try:
        return RecordedSurvey.model_validate_json(text)
    except ValidationError:
        return None


def _name_note(file: Path) -> str:
    return f"survey of {file.resolve()}"
