"""The package index as a client sees it: project pages, downloads, metadata. Uses pip's own settings."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from packaging.metadata import RawMetadata

from builder.distributions.metadata import (
    METADATA_LIMIT_BYTES,
    NoPkgInfoError,
    NotADistributionError,
    is_static,
    parse_metadata,
    sdist_metadata,
    wheel_metadata,
)
from builder.host import settings as host
from builder.sources import http
from builder.sources.addresses import AddressRule
from builder.sources.cool_down import describe_held, hold_back
from builder.sources.errors import FileMismatchError, MalformedAnswerError, NoIndexAnswerError
from builder.sources.index_page import PAGE_LIMIT_BYTES, parse_page
from builder.sources.page_cache import Page, PageCache
from builder.sources.ranges import NoRangeSupportError, WheelHead, read_wheel_head
from builder.sources.releases import group_releases
from builder.store.hashing import digest
from builder.untrusted.names import Sha256, UntrustedNameError, parse_project_name, parse_sha256
from builder.untrusted.text import show

if TYPE_CHECKING:
    from builder.config.cool_down import CoolDown
    from builder.host.settings import IndexSettings
    from builder.sources.cool_down import HeldRelease
    from builder.sources.index_file import IndexFile
    from builder.sources.releases import Release
    from builder.store.store import Store

_ACCEPTED = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html, text/html;q=0.01"
)
"""What pages of a project may be (PEP 691)."""

_METADATA_HASHES = ("sha256", "sha384", "sha512")
"""Hashes that vouch for a metadata file; of others somebody can make another file, or no index has them."""

_FOREIGN_PLATFORM = re.compile(r"-(win|macosx|ios|android)[a-z0-9_]*(\.[a-z0-9_.]+)?\.whl$")
"""Wheels that may require other things than those for Linux do."""


class Index:
    """The index that pip on this machine uses, its extra ones asked after it.

    Attributes:
        settings: what pip is configured for.
        store: where files are kept and answers are recorded.
    """

    def __init__(
        self,
        settings: IndexSettings,
        store: Store,
        cool_down: CoolDown | None = None,
        *,
        page_fresh_s: float = 0.0,
    ) -> None:
        """Make a client.

        Args:
            settings: what pip is configured for.
            store: where files are kept and answers are recorded.
            cool_down: which files are too young to be taken; None for none.
            page_fresh_s: how long a page is believed without asking the index again, in seconds.
        """
        self._page_fresh_s = page_fresh_s
        self._looked_up: set[str] = set()
        self.settings = settings
        self._cool_down = cool_down
        self._held: dict[str, tuple[HeldRelease, ...]] = {}
        self._rule = AddressRule.for_settings(settings)
        self.store = store
        self._page_cache = PageCache(store.folder / "pages")
        self._local = threading.local()
        self._unknown_statuses = host.unknown_statuses()

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
            MalformedAnswerError: the page is none that can be read, or too large.
            RefusedAddressError: the index leads to where it is not to be asked.
        """
        if name not in self._pages:
            self._pages[name] = self._fetch_releases(name)
        return self._pages[name]

    def _fetch_releases(self, name: str) -> tuple[Release, ...] | None:
        """Return the releases on the first index that knows a name, or None where none does."""
        for url in self.settings.urls:
            try:
                releases = self._fetch_page(url, name)
            except (requests.RequestException, ValueError) as error:
                # The original error's text may carry an address with credentials.
                raise NoIndexAnswerError(_describe_silence(url, name, error)) from None
            if releases is not None:
                return self._hold_back(name, releases)
        return None

    def _hold_back(self, name: str, releases: tuple[Release, ...]) -> tuple[Release, ...]:
        """Return a project's releases without the files that are too young."""
        if self._cool_down is None or self._cool_down.cutoff(name) is None:
            return releases

        files = [file for release in releases for file in release.files]
        taken, held = hold_back(self._cool_down, name, files)
        self._held[name] = describe_held(self._cool_down, name, group_releases(held))
        return group_releases(taken)

    def held_releases(self, name: str) -> tuple[HeldRelease, ...]:
        """Return the releases with files that the cool-down holds back, the newest first.

        Known are those of projects whose releases were asked for.
        """
        return self._held.get(name, ())

    def _fetch_page(self, endpoint: str, name: str) -> tuple[Release, ...] | None:
        """Return the releases that a project's page lists, or None where this index does not know the name.

        A page that has not changed since the last run comes parsed from the page cache, and one that is fresh comes
        from there without asking.
        """
        try:
            url = f"{endpoint.rstrip('/')}/{parse_project_name(name)}/"
        except UntrustedNameError:
            return None  # no project has such a name
        what = f"the page of {name}"

        cached = self._page_cache.get(url)
        if cached is not None and cached.age_s < self._page_fresh_s:
            self._look_up(endpoint)
            return tuple(cached.releases)
        headers = {"Accept": _ACCEPTED}
        if cached is not None and cached.etag:
            headers["If-None-Match"] = cached.etag

        answer = http.fetch(self._session, url, what, limit_bytes=PAGE_LIMIT_BYTES, headers=headers)
        if answer.status in self._unknown_statuses:
            return None
        if cached is not None and answer.status == requests.codes.not_modified:
            self._page_cache.confirm(url)
            return tuple(cached.releases)
        answer.raise_for_status()

        # An index without ETags sends the whole page; it is still parsed only where it changed.
        content_type = answer.headers.get("content-type", "")
        content = digest(answer.url, content_type, hashlib.sha256(answer.content).hexdigest())
        if cached is not None and cached.content == content:
            self._page_cache.confirm(url)
            return tuple(cached.releases)

        releases = group_releases(parse_page(answer, name, content_type))
        etag = answer.headers.get("etag", "")
        self._page_cache.put(url, Page(content=content, etag=etag, releases=releases))
        return releases

    def _look_up(self, endpoint: str) -> None:
        """Let the rule for addresses know where an index is that is not asked, once."""
        if endpoint not in self._looked_up:
            self._rule.look_up_index(endpoint)
            self._looked_up.add(endpoint)

    # --- files -----------------------------------------------------------------------------------------------------

    def download(self, file: IndexFile) -> Sha256:
        """Bring a file into the store and return its sha256.

        Nothing is downloaded where the store has the file with the promised hash already.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: the file is not what the index promised.
            MalformedAnswerError: it is too large, or takes too long.
            RefusedAddressError: the index leads to where it is not to be asked.
        """
        promised = _promised_sha256(file)
        if promised and self.store.file(promised).exists():
            return promised

        with tempfile.TemporaryDirectory(prefix="wheelfarm-") as scratch:
            path = Path(scratch) / "file"
            try:
                http.download(self._session, file.url, path, what=file.filename)
            except requests.RequestException as error:
                raise _no_answer(error) from None
            sha256 = self.store.add_file(path)

        if promised and sha256 != promised:
            raise FileMismatchError(
                f"{file.filename} has sha256 {sha256}; the index promised {promised}"
            )
        return sha256

    def find_sha256(self, file: IndexFile) -> Sha256:
        """Return a file's sha256: as the index promises it, or that of the file itself where it promises none.

        Raises:
            MalformedAnswerError: as for `download`, and where the index promises something that is no sha256.
            NoIndexAnswerError: as for `download`.
            RefusedAddressError: as for `download`.
        """
        return _promised_sha256(file) or self.download(file)

    def wheel_head(self, wheel: IndexFile) -> WheelHead | None:
        """Return a wheel's metadata without downloading the rest, or None where the server sends whole files only.

        The answer is kept for the life of this object, and in the store's record where the index promises what the
        wheel hashes to.

        Raises:
            NoIndexAnswerError: the index does not answer.
            MalformedAnswerError: it is no wheel, or the server sends more than it was asked for, or too slowly.
            RefusedAddressError: the index leads to where it is not to be asked.
        """
        if wheel.url not in self._heads:
            self._heads[wheel.url] = self._cached_head(wheel)
        return self._heads[wheel.url]

    def _cached_head(self, wheel: IndexFile) -> WheelHead | None:
        """Return a wheel's metadata from the store's record where the same wheel was read before."""
        promised = _promised_sha256(wheel)
        query = f"wheel head 1:{promised}"
        recorded = self.store.get_resolution(query, None) if promised else None
        if recorded is not None:
            return WheelHead.from_record(recorded)

        head = self._fetch_head(wheel)
        if head is not None and promised:
            self.store.record_resolution(query, head.record())
        return head

    def _fetch_head(self, wheel: IndexFile) -> WheelHead | None:
        """Read a wheel's metadata by range requests; None where the server does not support them."""
        try:
            return read_wheel_head(wheel.url, self._session)
        except NoRangeSupportError:
            return None
        except NotADistributionError as error:
            raise MalformedAnswerError(f"{wheel.filename}: {error}") from None
        except requests.RequestException as error:
            raise _no_answer(error) from None

    # --- metadata --------------------------------------------------------------------------------------------------

    def requirements(self, name: str, release: Release) -> tuple[str, ...]:
        """Return what a release requires at run time (PEP 508), from metadata alone: nothing is executed.

        The answer is kept for the life of this object.

        Raises:
            NoIndexAnswerError: the index does not answer.
            FileMismatchError: a file is not what the index promised.
            MalformedAnswerError: what the index sends is too large, or takes too long.
            RefusedAddressError: the index leads to where it is not to be asked.
        """
        key = (name, str(release.version))
        if key not in self._metadata:
            try:
                self._metadata[key] = self._cached_requirements(release)
            except NotADistributionError as error:
                raise MalformedAnswerError(f"{name} {release.version}: {error}") from None
        return self._metadata[key]

    def _cached_requirements(self, release: Release) -> tuple[str, ...]:
        """Return a release's requirements, from the store's record where they were read from the same files before.

        The record is found by the hashes of all files, so a file that is added later leads to a new one. Where the
        index gives no hash of a file nothing is recorded.
        """
        hashes = sorted(_promised_sha256(file) or "" for file in release.files)
        can_be_recorded = all(hashes)
        query = f"requires:{digest(hashes)}"
        recorded = self.store.get_resolution(query, None) if can_be_recorded else None
        if recorded is not None:
            return tuple(recorded)

        requirements = list(self._read_metadata(release).get("requires_dist", ()))
        if can_be_recorded:
            self.store.record_resolution(query, requirements)
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

        # An index may say that there is metadata and not what it hashes to (PEP 658); pip takes it then, too.
        promised = wheel.metadata_digests or {}
        algorithm = next((name for name in _METADATA_HASHES if name in promised), None)
        if promised and algorithm is None:
            return None

        what = f"the metadata of {wheel.filename}"
        try:
            answer = http.fetch(
                self._session,
                wheel.metadata_url,
                what,
                limit_bytes=METADATA_LIMIT_BYTES,
            )
            if answer.status == requests.codes.not_found:
                return None  # the file is not there after all
            answer.raise_for_status()
        except requests.RequestException as error:
            raise _no_answer(error) from None

        if algorithm is not None:
            actual = hashlib.new(algorithm, answer.content).hexdigest()
            expected = promised[algorithm].lower()
            if actual != expected:
                raise FileMismatchError(
                    f"{what} has {algorithm} {actual}; the index promised {expected}"
                )
        return parse_metadata(answer.content, what)

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
            return wheel_metadata(self.store.file(self.download(release.pure_wheel)))

        from_sdist: RawMetadata = {}
        if release.sdist is not None:
            sdist = self.store.file(self.download(release.sdist))
            # Built it can be all the same, as pip does: name and version are in the file's name.
            with contextlib.suppress(NoPkgInfoError):
                from_sdist = sdist_metadata(sdist, release.sdist.filename)
            if is_static(from_sdist) or not release.wheels:
                return from_sdist

        if release.likely_wheel is None:
            return from_sdist
        return wheel_metadata(self.store.file(self.download(release.likely_wheel)))

    # --- connections -----------------------------------------------------------------------------------------------

    @property
    def _session(self) -> http.Session:
        """The calling thread's own session, opened when it is first used: requests does not share sessions safely."""
        if not hasattr(self._local, "session"):
            self._local.session = http.open_session(settings=self.settings, rule=self._rule)
        session = self._local.session
        assert isinstance(session, http.Session)
        return session


def _describe_silence(url: str, name: str, error: Exception) -> str:
    """Say that an index did not answer for a name, and what to do where it refused to."""
    shown = show(host.without_credentials(url))
    response = getattr(error, "response", None)
    status = response.status_code if response is not None else 0
    if status == requests.codes.unauthorized:
        remedy = "it wants a user and a password: put them into its URL in pip's configuration, into netrc or a keyring"
    elif status == requests.codes.forbidden:
        remedy = (
            "it refuses; if that is how it says that it does not have a project, "
            f"set {host.UNKNOWN_STATUSES_VARIABLE}=403"
        )
    else:
        return f"the index {shown} did not answer for {name}: {http.describe_error(error)}"
    return f"the index {shown} answered for {name} with status {status}: {remedy}"


def _no_answer(error: Exception) -> NoIndexAnswerError:
    return NoIndexAnswerError(f"the index did not answer: {http.describe_error(error)}")


def _promised_sha256(file: IndexFile) -> Sha256 | None:
    """Return the sha256 that the index promises of a file, or None where it promises none.

    Raises:
        MalformedAnswerError: it promises something that is no sha256.
    """
    promised = (file.digests or {}).get("sha256")
    if not promised:
        return None
    try:
        return parse_sha256(promised.lower(), f"the page that lists {file.filename}")
    except UntrustedNameError as error:
        raise MalformedAnswerError(str(error)) from None
