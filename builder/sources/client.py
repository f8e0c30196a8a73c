"""The package index as a client sees it: project pages, downloads, metadata. Uses pip's own settings."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from packaging.metadata import RawMetadata, parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from builder import host
from builder.distributions.metadata import (
    NotADistributionError,
    is_static,
    sdist_metadata,
    wheel_metadata,
)
from builder.sources.page_cache import Page, PageCache
from builder.sources.ranges import NoRangeSupportError, WheelHead, read_wheel_head
from builder.store.files import atomic_write
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypi_simple import DistributionPackage

    from builder.store.store import Store

_TIMEOUT_S = (15, 120)
_MAX_TRIES = 3
_FOREIGN_PLATFORM = re.compile(r"-(win|macosx|ios|android)[a-z0-9_]*(\.[a-z0-9_.]+)?\.whl$")


class NoIndexAnswerError(Exception):
    """The index does not answer: the farm cannot tell what it has."""


class FileMismatchError(Exception):
    """A file is not what the index promises."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release of a project.

    Attributes:
        files: its sdists and wheels.
    """

    version: Version
    files: tuple[DistributionPackage, ...]

    @property
    def yanked(self) -> bool:
        """Whether every file is yanked (PEP 592)."""
        return all(file.is_yanked for file in self.files)

    @property
    def sdist(self) -> DistributionPackage | None:
        """Its sdist; of several the one that is a `.tar.gz` (PEP 625)."""
        found = [file for file in self.files if file.package_type == "sdist"]
        return next(
            (file for file in found if file.filename.endswith(".tar.gz")),
            found[0] if found else None,
        )

    @property
    def wheels(self) -> tuple[DistributionPackage, ...]:
        """Its wheels."""
        return tuple(file for file in self.files if file.package_type == "wheel")

    @property
    def pure_wheel(self) -> DistributionPackage | None:
        """A wheel without native code that Python 3 takes."""
        found = [file for file in self.wheels if file.filename.endswith("-none-any.whl")]
        return next((file for file in found if "py3" in file.filename.split("-")[-3]), None)

    @property
    def likely_wheel(self) -> DistributionPackage | None:
        """The wheel that CPython 3.14 on x86-64 Linux takes, or the nearest to it."""
        marks = ("cp314-", "x86_64", "manylinux")
        return max(
            self.wheels, key=lambda file: [mark in file.filename for mark in marks], default=None
        )

    @property
    def is_pure(self) -> bool:
        """Whether there is nothing native to this release: wheels there are, and none is for a platform."""
        return bool(self.wheels) and all(
            file.filename.endswith("-none-any.whl") for file in self.wheels
        )

    def allows_python(self, python: Version) -> bool:
        """Return whether `requires-python` lets a Python have it."""
        from packaging.specifiers import SpecifierSet

        stated = next((file.requires_python for file in self.files if file.requires_python), None)
        try:
            return stated is None or SpecifierSet(stated).contains(python, prereleases=True)
        except ValueError:
            return True  # pip ignores what it cannot read, too


class Index:
    """The index that pip on this machine uses, its extra ones asked after it."""

    def __init__(self, settings: host.IndexSettings, store: Store) -> None:
        self.settings = settings
        self._store = store
        self._read = PageCache(store.folder / "pages")
        self._local = threading.local()
        self._pages: dict[str, tuple[Release, ...] | None] = {}
        self._metadata: dict[tuple[str, str], tuple[str, ...]] = {}
        self._heads: dict[str, WheelHead | None] = {}

    def releases(self, name: str) -> tuple[Release, ...] | None:
        """Return a project's releases, the newest first, or None where no index knows the name.

        The first index that has the name answers for it, so that nobody can slip in a newer release elsewhere.

        Raises:
            NoIndexAnswerError: the index does not answer.
        """
        if name not in self._pages:
            self._pages[name] = self._fetch_releases(name)
        return self._pages[name]

    def download(self, file: DistributionPackage) -> str:
        """Bring a file into the store and return its sha256.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: the file is not what the index promised.
        """
        promised = (file.digests or {}).get("sha256")
        if promised and self._store.file(promised).exists():
            return promised
        with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
            path = Path(scratch) / "file"
            self._fetch(file.url, path)
            sha256 = self._store.add_file(path)
        if promised and sha256 != promised:
            raise FileMismatchError(
                f"{file.filename} has sha256 {sha256}; the index promised {promised}"
            )
        return sha256

    def requirements(self, name: str, release: Release) -> tuple[str, ...]:
        """Return what a release requires at run time (PEP 508), from metadata alone: nothing is executed.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: a file is not what the index promised.
        """
        key = (name, str(release.version))
        if key not in self._metadata:
            try:
                self._metadata[key] = self._cached_requirements(release)
            except NotADistributionError as error:
                raise FileMismatchError(str(error)) from None
        return self._metadata[key]

    def _cached_requirements(self, release: Release) -> tuple[str, ...]:
        """Read the metadata of a release, once for the same files: a file never changes, and more of them may come."""
        hashes = sorted((file.digests or {}).get("sha256", "") for file in release.files)
        query = f"requires:{digest(hashes)}"
        known = self._store.get_resolution(query, None) if all(hashes) else None
        if known is None:
            known = list(self._read_metadata(release).get("requires_dist", ()))
            if all(hashes):
                self._store.record_resolution(query, known)
        return tuple(known)

    def wheel_head(self, wheel: DistributionPackage) -> WheelHead | None:
        """Read a wheel's metadata without the rest of it; None where the server hands out whole files only.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: it is no wheel.
        """
        if wheel.url not in self._heads:
            self._heads[wheel.url] = self._fetch_head(wheel)
        return self._heads[wheel.url]

    def _fetch_head(self, wheel: DistributionPackage) -> WheelHead | None:
        problem: Exception | None = None
        for _ in range(_MAX_TRIES):
            try:
                return read_wheel_head(wheel.url, self._session)
            except NoRangeSupportError:
                return None
            except NotADistributionError as error:
                raise FileMismatchError(f"{wheel.filename}: {error}") from None
            except requests.RequestException as error:
                problem = error
        assert problem is not None
        raise NoIndexAnswerError(f"the index did not answer: {_describe_error(problem)}")

    def _read_metadata(self, release: Release) -> RawMetadata:
        """Take metadata from where it is surest and cheapest.

        That is the index (PEP 658), the wheel an installer would take, as far as ranges of it can be had, a static
        sdist, any wheel.
        """
        stated = next((file for file in release.wheels if file.has_metadata), None)
        if stated is not None:
            return parse_email(self._get(stated.url + ".metadata").content)[0]
        likely = release.pure_wheel or release.likely_wheel
        if (
            likely is not None
            and not _FOREIGN_PLATFORM.search(likely.filename)
            and (head := self.wheel_head(likely)) is not None
        ):
            return head.metadata
        if release.pure_wheel is not None:
            return wheel_metadata(self._store.file(self.download(release.pure_wheel)))
        from_sdist: RawMetadata = {}
        if release.sdist is not None:
            from_sdist = sdist_metadata(
                self._store.file(self.download(release.sdist)), release.sdist.filename
            )
            if is_static(from_sdist) or not release.wheels:
                return from_sdist
        if release.likely_wheel is None:
            return from_sdist
        return wheel_metadata(self._store.file(self.download(release.likely_wheel)))

    def _fetch_releases(self, name: str) -> tuple[Release, ...] | None:
        for url in self.settings.urls:
            try:
                files = self._fetch_page(url, name)
            except (requests.RequestException, ValueError) as error:
                raise NoIndexAnswerError(
                    f"the index did not answer for {name}: {_describe_error(error)}"
                ) from None
            if files is not None:
                return _group_releases(files)
        return None

    def _fetch_page(self, endpoint: str, name: str) -> Sequence[DistributionPackage] | None:
        """Return the files of a project page, or None where this index does not know the name."""
        from pypi_simple import (  # a sixth of a second, which most runs need not spend
            ACCEPT_ANY,
            PyPISimple,
        )

        client = PyPISimple(endpoint=endpoint, session=self._session)
        url = client.get_project_url(name)
        known = self._read.get(url)
        asking = {"Accept": ACCEPT_ANY} | (
            {"If-None-Match": known.etag} if known and known.etag else {}
        )
        response = client.s.get(url, headers=asking, timeout=_TIMEOUT_S)
        if response.status_code == requests.codes.not_found:
            return None
        if known is not None and response.status_code == requests.codes.not_modified:
            return known.files
        response.raise_for_status()
        kind = response.headers.get("content-type", "")
        content = digest(response.url, kind, hashlib.sha256(response.content).hexdigest())
        if known is not None and known.content == content:
            return known.files
        files = _parse_page(response, name, kind)
        self._read.put(
            url, Page(content=content, etag=response.headers.get("etag", ""), files=files)
        )
        return files

    @property
    def _session(self) -> requests.Session:
        """One session per thread: requests does not share them."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.verify = str(host.ca_bundle())
            self._local.session = session
        session = self._local.session
        assert isinstance(session, requests.Session)
        return session

    def _get(self, url: str) -> requests.Response:
        problem: Exception | None = None
        for _ in range(_MAX_TRIES):
            try:
                response = self._session.get(url, timeout=_TIMEOUT_S)
                response.raise_for_status()
            except requests.RequestException as error:
                problem = error
            else:
                return response
        assert problem is not None
        raise NoIndexAnswerError(f"the index did not answer: {_describe_error(problem)}")

    def _fetch(self, url: str, target: Path) -> None:
        with atomic_write(target) as aside:
            aside.write_bytes(self._get(url).content)


def _parse_page(response: requests.Response, name: str, kind: str) -> list[DistributionPackage]:
    from pypi_simple import DistributionPackage, ProjectPage, parse_links_stream

    if "html" not in kind:
        return ProjectPage.from_response(response, name).packages
    # Links without the tree of the page around them: pages of ten thousand files take less than half the time.
    links = parse_links_stream([response.content], response.url, response.encoding)
    return [DistributionPackage.from_link(link, name) for link in links]


def _describe_error(error: Exception) -> str:
    """Name a network error without its address, which may carry credentials."""
    response = getattr(error, "response", None)
    return f"status {response.status_code}" if response is not None else type(error).__name__


def _group_releases(files: Sequence[DistributionPackage]) -> tuple[Release, ...]:
    grouped: dict[Version, list[DistributionPackage]] = {}
    for file in files:
        try:
            grouped.setdefault(Version(file.version or ""), []).append(file)
        except (
            ValueError
        ):  # no version (PEP 440), or one with thousands of digits, which is no number to Python
            continue
    return tuple(
        Release(version=version, files=tuple(grouped[version]))
        for version in sorted(grouped, reverse=True)
    )


def same_name(one: str, other: str) -> bool:
    """Compare two package names (PEP 503)."""
    return canonicalize_name(one) == canonicalize_name(other)
