"""The package index as a client sees it: project pages, downloads, metadata. Uses pip's own settings."""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from packaging.metadata import RawMetadata, parse_email

from builder.distributions.metadata import (
    NotADistributionError,
    is_static,
    sdist_metadata,
    wheel_metadata,
)
from builder.sources import http
from builder.sources.errors import FileMismatchError, NoIndexAnswerError
from builder.sources.page_cache import Page, PageCache
from builder.sources.ranges import NoRangeSupportError, WheelHead, read_wheel_head
from builder.sources.releases import group_releases
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypi_simple import DistributionPackage, PyPISimple

    from builder.host import IndexSettings
    from builder.sources.releases import Release
    from builder.store.store import Store

_FOREIGN_PLATFORM = re.compile(r"-(win|macosx|ios|android)[a-z0-9_]*(\.[a-z0-9_.]+)?\.whl$")
"""Wheels that may require other things than those for Linux do."""


class Index:
    """The index that pip on this machine uses, its extra ones asked after it."""

    def __init__(self, settings: IndexSettings, store: Store) -> None:
        self.settings = settings
        self._store = store
        self._page_cache = PageCache(store.folder / "pages")
        self._local = threading.local()

        # What was asked once holds for the life of this object. Two threads may ask at once; both hear the same.
        self._pages: dict[str, tuple[Release, ...] | None] = {}
        self._metadata: dict[tuple[str, str], tuple[str, ...]] = {}
        self._heads: dict[str, WheelHead | None] = {}

    # --- project pages ---------------------------------------------------------------------------------------------

    def releases(self, name: str) -> tuple[Release, ...] | None:
        """Return a project's releases, the newest first, or None where no index knows the name.

        Indexes are asked in order, and the first that has the name answers for it alone, so that nobody can slip in a
        newer release elsewhere.

        Raises:
            NoIndexAnswerError: the index does not answer.
        """
        if name not in self._pages:
            self._pages[name] = self._fetch_releases(name)
        return self._pages[name]

    def _fetch_releases(self, name: str) -> tuple[Release, ...] | None:
        """Return the releases on the first index that knows a name, or None where none does."""
        for url in self.settings.urls:
            try:
                files = self._fetch_page(url, name)
            except (requests.RequestException, ValueError) as error:
                # The original error's text may carry an address with credentials.
                raise NoIndexAnswerError(
                    f"the index did not answer for {name}: {http.describe_error(error)}"
                ) from None
            if files is not None:
                return group_releases(files)
        return None

    def _fetch_page(self, endpoint: str, name: str) -> Sequence[DistributionPackage] | None:
        """Return the files that a project's page lists, or None where this index does not know the name.

        A page that has not changed since the last run comes parsed from the page cache.
        """
        from pypi_simple import ACCEPT_ANY

        client = self._make_client(endpoint)
        url = client.get_project_url(name)
        cached = self._page_cache.get(url)
        headers = {"Accept": ACCEPT_ANY}
        if cached is not None and cached.etag:
            headers["If-None-Match"] = cached.etag

        response = client.s.get(url, headers=headers, timeout=http.TIMEOUT_S)
        if response.status_code == requests.codes.not_found:
            return None
        if cached is not None and response.status_code == requests.codes.not_modified:
            return cached.files
        response.raise_for_status()

        # An index without ETags sends the whole page; it is still parsed only where it changed.
        content_type = response.headers.get("content-type", "")
        content = digest(response.url, content_type, hashlib.sha256(response.content).hexdigest())
        if cached is not None and cached.content == content:
            return cached.files

        files = _parse_page(response, name, content_type)
        etag = response.headers.get("etag", "")
        self._page_cache.put(url, Page(content=content, etag=etag, files=files))
        return files

    # --- files -----------------------------------------------------------------------------------------------------

    def download(self, file: DistributionPackage) -> str:
        """Bring a file into the store and return its sha256.

        Nothing is downloaded where the store has the file with the promised hash already.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: the file is not what the index promised.
        """
        promised = (file.digests or {}).get("sha256")
        if promised and self._store.file(promised).exists():
            return promised

        with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
            path = Path(scratch) / "file"
            try:
                http.download(self._session, file.url, path)
            except requests.RequestException as error:
                raise _no_answer(error) from None
            sha256 = self._store.add_file(path)

        if promised and sha256 != promised:
            raise FileMismatchError(
                f"{file.filename} has sha256 {sha256}; the index promised {promised}"
            )
        return sha256

    def wheel_head(self, wheel: DistributionPackage) -> WheelHead | None:
        """Return a wheel's metadata without downloading the rest, or None where the server sends whole files only.

        The answer is kept for the life of this object.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: it is no wheel.
        """
        if wheel.url not in self._heads:
            self._heads[wheel.url] = self._fetch_head(wheel)
        return self._heads[wheel.url]

    def _fetch_head(self, wheel: DistributionPackage) -> WheelHead | None:
        """Read a wheel's metadata by range requests; None where the server does not support them."""
        try:
            return read_wheel_head(wheel.url, self._session)
        except NoRangeSupportError:
            return None
        except NotADistributionError as error:
            raise FileMismatchError(f"{wheel.filename}: {error}") from None
        except requests.RequestException as error:
            raise _no_answer(error) from None

    # --- metadata --------------------------------------------------------------------------------------------------

    def requirements(self, name: str, release: Release) -> tuple[str, ...]:
        """Return what a release requires at run time (PEP 508), from metadata alone: nothing is executed.

        The answer is kept for the life of this object.

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
        """Return a release's requirements, from the store's record where they were read from the same files before.

        The record is found by the hashes of all files, so a file that is added later leads to a new one. Where the
        index gives no hash of a file nothing is recorded.
        """
        hashes = sorted((file.digests or {}).get("sha256", "") for file in release.files)
        can_be_recorded = all(hashes)
        query = f"requires:{digest(hashes)}"
        recorded = self._store.get_resolution(query, None) if can_be_recorded else None
        if recorded is not None:
            return tuple(recorded)

        requirements = list(self._read_metadata(release).get("requires_dist", ()))
        if can_be_recorded:
            self._store.record_resolution(query, requirements)
        return tuple(requirements)

    def _read_metadata(self, release: Release) -> RawMetadata:
        """Return a release's metadata from the surest and cheapest place that has it.

        The places, in order: the metadata file on the index (PEP 658), a range of the wheel that an installer would
        take, an sdist whose metadata is static (PEP 643), any wheel.
        """
        metadata = self._fetch_metadata_file(release)
        if metadata is None:
            metadata = self._fetch_head_metadata(release)
        if metadata is None:
            metadata = self._download_metadata(release)
        return metadata

    def _fetch_metadata_file(self, release: Release) -> RawMetadata | None:
        """Return the metadata that the index has as a file beside a wheel (PEP 658), or None where it has none.

        The file is checked against its hash where the index gives one.
        """
        wheel = next((file for file in release.wheels if file.has_metadata), None)
        if wheel is None:
            return None

        from pypi_simple import DigestMismatchError, NoDigestsError, NoMetadataError

        client = self._make_client(self.settings.url)
        # An index may say that there is metadata and not what it hashes to (PEP 658); pip takes it then, too.
        has_digests = bool(wheel.metadata_digests)
        try:
            content = client.get_package_metadata_bytes(
                wheel, verify=has_digests, timeout=http.TIMEOUT_S
            )
        except (NoMetadataError, NoDigestsError):
            return None  # the file is not there after all, or its kind of hash is unknown
        except DigestMismatchError as error:
            raise FileMismatchError(
                f"the metadata of {wheel.filename} has {error.algorithm} {error.actual_digest}; "
                f"the index promised {error.expected_digest}"
            ) from None
        except requests.RequestException as error:
            raise _no_answer(error) from None

        metadata, _ = parse_email(content)
        return metadata

    def _fetch_head_metadata(self, release: Release) -> RawMetadata | None:
        """Return the metadata read by a range request from the wheel that an installer would take, or None.

        None means that there is no such wheel, that it is for another platform, whose requirements may differ, or that
        the server does not support ranges.
        """
        wheel = release.pure_wheel or release.likely_wheel
        if wheel is None or _FOREIGN_PLATFORM.search(wheel.filename):
            return None

        head = self.wheel_head(wheel)
        return head.metadata if head is not None else None

    def _download_metadata(self, release: Release) -> RawMetadata:
        """Return the metadata of a whole downloaded file; empty where the release has no file.

        A pure wheel is preferred, then the sdist if its metadata is static or there are no wheels, then the likeliest
        wheel.
        """
        if release.pure_wheel is not None:
            return wheel_metadata(self._store.file(self.download(release.pure_wheel)))

        from_sdist: RawMetadata = {}
        if release.sdist is not None:
            sdist = self._store.file(self.download(release.sdist))
            from_sdist = sdist_metadata(sdist, release.sdist.filename)
            if is_static(from_sdist) or not release.wheels:
                return from_sdist

        if release.likely_wheel is None:
            return from_sdist
        return wheel_metadata(self._store.file(self.download(release.likely_wheel)))

    # --- connections -----------------------------------------------------------------------------------------------

    def _make_client(self, endpoint: str) -> PyPISimple:
        from pypi_simple import PyPISimple  # a sixth of a second, which most runs need not spend

        return PyPISimple(endpoint=endpoint, session=self._session)

    @property
    def _session(self) -> requests.Session:
        """The calling thread's own session, opened when it is first used: requests does not share sessions safely."""
        if not hasattr(self._local, "session"):
            self._local.session = http.open_session()
        session = self._local.session
        assert isinstance(session, requests.Session)
        return session


def _no_answer(error: Exception) -> NoIndexAnswerError:
    return NoIndexAnswerError(f"the index did not answer: {http.describe_error(error)}")


def _parse_page(
    response: requests.Response, name: str, content_type: str
) -> list[DistributionPackage]:
    """Return the files that a project's page lists, whether it is JSON or HTML."""
    from pypi_simple import DistributionPackage, ProjectPage, parse_links_stream

    if "html" not in content_type:
        return ProjectPage.from_response(response, name).packages

    # Links without the tree of the page around them: pages of ten thousand files take less than half the time.
    links = parse_links_stream([response.content], response.url, response.encoding)
    return [DistributionPackage.from_link(link, name) for link in links]
