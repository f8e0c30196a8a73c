"""Gathers what a survey is judged from: kinds, metadata and dates of each dependency, many at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.dependencies.parallel import process_pins
from builder.dependencies.survey import ReleaseMetadata, newest_release, survey_release
from builder.sources.kind import classify_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.version import Version

    from builder.dependencies.files.model import SkippedDependency
    from builder.dependencies.resolve import Pin, Resolution
    from builder.dependencies.survey import SurveyRow
    from builder.sources.client import Index
    from builder.sources.releases import Release
    from builder.store.store import Store

_CLASSIFIERS = (
    "Programming Language :: Python ::",
    "Programming Language :: Python :: Free Threading",
)
"""Beginnings of the classifiers a survey shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """A whole file, surveyed.

    Attributes:
        rows: by name.
        left_out: what could not be surveyed, and why.
        notes: what else a person should know.
    """

    rows: tuple[SurveyRow, ...]
    left_out: tuple[SkippedDependency, ...] = ()
    notes: tuple[str, ...] = ()


def survey_dependencies(
    resolution: Resolution, index: Index, store: Store, python: Version, say: Callable[[str], None]
) -> Survey:
    """Return a survey of every dependency; pages and metadata are read, nothing is built or run.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        python: the interpreter's version.
        say: shows progress.

    Raises:
        IndexUnreachableError: the index does not answer.
    """

    def survey(pin: Pin) -> SurveyRow:
        return _survey_pin(pin, index, store, python)

    rows, left_out = process_pins(resolution.pins, survey, store, say, title="survey")

    return Survey(
        rows=tuple(rows),
        left_out=(*resolution.left_out, *left_out),
        notes=(*resolution.notes, *_describe_gaps(rows)),
    )


def _survey_pin(pin: Pin, index: Index, store: Store, python: Version) -> SurveyRow:
    """Return the survey's row for one dependency, with the metadata of its release and of the newest one."""
    releases = index.releases(pin.name) or ()
    newest = newest_release(pin.release, releases)
    metadata = _read_metadata(pin.release, index)
    newest_metadata = metadata if newest is pin.release else _read_metadata(newest, index)

    return survey_release(
        name=pin.name,
        where=pin.where,
        release=pin.release,
        releases=releases,
        kind=classify_release(pin.release, index, store),
        python=python,
        described=metadata,
        newest_described=newest_metadata,
    )


def _read_metadata(release: Release, index: Index) -> ReleaseMetadata:
    """Return classifiers and the day of a release, as far as that costs no download of a whole file.

    Classifiers come from one wheel; the day is that of the first upload, or else the date inside the wheel. Either is
    empty where the index does not tell.
    """
    wheel = release.likely_wheel
    head = index.wheel_head(wheel) if wheel is not None else None
    stated = head.metadata.get("classifiers", []) if head is not None else []
    classifiers = tuple(text for text in stated if text.startswith(_CLASSIFIERS))

    upload_times = [file.upload_time for file in release.files if file.upload_time]
    if upload_times:
        day = min(upload_times).date()
        return ReleaseMetadata(classifiers=classifiers, day=day, day_from="index")

    if head is not None and head.build_date is not None:
        return ReleaseMetadata(classifiers=classifiers, day=head.build_date, day_from="wheel")
    return ReleaseMetadata(classifiers=classifiers)


def _describe_gaps(rows: Iterable[SurveyRow]) -> Iterator[str]:
    """Yield a note where the index gave no upload time for any dependency."""
    day_sources = [row.newest_metadata.day_from for row in rows]
    if day_sources and "index" not in day_sources:
        yield (
            "the index gives no upload times: the age is that of the newest release's wheel by the date inside it, "
            "and unknown where its build writes a constant"
        )
