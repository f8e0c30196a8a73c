"""Gathers what a survey is judged from: kinds, metadata and dates of each dependency, many at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.dependencies.files.model import LeftOut
from builder.dependencies.resolve import PARALLEL, Pin
from builder.dependencies.survey import Described, Surveyed, newest_of, surveyed
from builder.errors import IndexUnreachableError
from builder.sources.client import IndexSilentError, Release, WrongFileError
from builder.sources.kind import kind_of

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

    rows: tuple[Surveyed, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def survey(
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

    def one(pin: Pin) -> Surveyed | LeftOut:
        try:
            return _row(pin, index, store, python)
        except WrongFileError as error:
            return LeftOut(name=pin.name, where=pin.where, why=str(error))

    rows: list[Surveyed] = []
    left_out = list(resolution.left_out)
    with ThreadPoolExecutor(PARALLEL) as pool:
        try:
            for done, answer in enumerate(pool.map(one, resolution.pins), 1):
                say(f"survey: {done} of {len(resolution.pins)}")
                (left_out if isinstance(answer, LeftOut) else rows).append(answer)  # type: ignore[arg-type]
        except IndexSilentError as error:
            raise IndexUnreachableError(str(error)) from None
    notes = (*resolution.notes, *_gaps(rows))
    return Survey(rows=tuple(rows), left_out=tuple(left_out), notes=notes)


def _row(pin: Pin, index: Index, store: Store, python: Version) -> Surveyed:
    releases = index.releases(pin.name) or ()
    newest = newest_of(pin.release, releases)
    described = _described(pin.release, index)
    return surveyed(
        name=pin.name,
        where=pin.where,
        release=pin.release,
        releases=releases,
        kind=kind_of(pin.release, index, store),
        python=python,
        described=described,
        newest_described=described if newest is pin.release else _described(newest, index),
    )


def _described(release: Release, index: Index) -> Described:
    """Read classifiers and the day from one wheel, as far as that costs no download of the whole."""
    uploaded = min((file.upload_time for file in release.files if file.upload_time), default=None)
    wheel = release.likely_wheel
    head = index.head(wheel) if wheel is not None else None
    classifiers = tuple(
        text
        for text in (head.metadata.get("classifiers", ()) if head else ())
        if text.startswith(_CLASSIFIERS)
    )
    if uploaded is not None:
        return Described(classifiers=classifiers, day=uploaded.date(), day_from="index")
    built = head.built if head else None
    return Described(classifiers=classifiers, day=built, day_from="wheel" if built else "")


def _gaps(rows: Iterable[Surveyed]) -> Iterable[str]:
    """Say what the index did not tell."""
    sources = [row.newest_described.day_from for row in rows]
    if sources and "index" not in sources:
        yield (
            "the index gives no upload times: the age is that of the newest release's wheel by the date inside it, "
            "and unknown where its build writes a constant"
        )
