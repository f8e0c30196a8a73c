"""Gathers what a survey is judged from: kinds, metadata and dates of each dependency, many at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.resolve import MAX_PARALLEL, Pin
from builder.dependencies.survey import ReleaseMetadata, SurveyRow, newest_release, survey_release
from builder.errors import IndexUnreachableError
from builder.sources.client import FileMismatchError, NoIndexAnswerError, Release
from builder.sources.kind import classify_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.version import Version

    from builder.dependencies.resolve import Resolution
    from builder.sources.client import Index
    from builder.store.store import Store

_CLASSIFIERS = (
    "Programming Language :: Python ::",
    "Programming Language :: Python :: Free Threading",
)


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
    """Survey every dependency. Reads pages and metadata; builds nothing, runs nothing.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        python: the interpreter's version.
        say: shows progress.

    Raises:
        IndexUnreachableError: the index does not answer.
    """

    def one(pin: Pin) -> SurveyRow | SkippedDependency:
        try:
            return _survey_pin(pin, index, store, python)
        except FileMismatchError as error:
            return SkippedDependency(name=pin.name, where=pin.where, why=str(error))

    rows: list[SurveyRow] = []
    left_out = list(resolution.left_out)
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        try:
            for done, answer in enumerate(pool.map(one, resolution.pins), 1):
                say(f"survey: {done} of {len(resolution.pins)}")
                (left_out if isinstance(answer, SkippedDependency) else rows).append(answer)  # type: ignore[arg-type]
        except NoIndexAnswerError as error:
            raise IndexUnreachableError(str(error)) from None
    notes = (*resolution.notes, *_describe_gaps(rows))
    return Survey(rows=tuple(rows), left_out=tuple(left_out), notes=notes)


def _survey_pin(pin: Pin, index: Index, store: Store, python: Version) -> SurveyRow:
    releases = index.releases(pin.name) or ()
    newest = newest_release(pin.release, releases)
    described = _read_metadata(pin.release, index)
    return survey_release(
        name=pin.name,
        where=pin.where,
        release=pin.release,
        releases=releases,
        kind=classify_release(pin.release, index, store),
        python=python,
        described=described,
        newest_described=described if newest is pin.release else _read_metadata(newest, index),
    )


def _read_metadata(release: Release, index: Index) -> ReleaseMetadata:
    """Read classifiers and the day from one wheel, as far as that costs no download of the whole."""
    uploaded = min((file.upload_time for file in release.files if file.upload_time), default=None)
    wheel = release.likely_wheel
    head = index.wheel_head(wheel) if wheel is not None else None
    classifiers = tuple(
        text
        for text in (head.metadata.get("classifiers", ()) if head else ())
        if text.startswith(_CLASSIFIERS)
    )
    if uploaded is not None:
        return ReleaseMetadata(classifiers=classifiers, day=uploaded.date(), day_from="index")
    built = head.build_date if head else None
    return ReleaseMetadata(classifiers=classifiers, day=built, day_from="wheel" if built else "")


def _describe_gaps(rows: Iterable[SurveyRow]) -> Iterable[str]:
    """Say what the index did not tell."""
    sources = [row.newest_metadata.day_from for row in rows]
    if sources and "index" not in sources:
        yield (
            "the index gives no upload times: the age is that of the newest release's wheel by the date inside it, "
            "and unknown where its build writes a constant"
        )
