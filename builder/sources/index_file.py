"""A file of a project, as an index lists it (PEP 503, 691).

A page has thousands, and an application's pages a hundred thousand: they are tuples, and what each of them has in
common with others, such as the tags of a wheel, is looked at once.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage

_ARCHIVES = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")
_WHEEL_PARTS = (5, 6)  # with and without a build tag (PEP 427)


class IndexFile(NamedTuple):
    """A file of a project.

    Attributes:
        filename: its name.
        url: where it is, without a fragment.
        project: as the file name has it; None where that cannot be told.
        version: as the file name has it; None where that cannot be told.
        package_type: `wheel`, `sdist`, or what nobody makes any more; None where that cannot be told.
        digests: what it hashes to, by algorithm.
        requires_python: which interpreters may have it (PEP 440); None where the index does not say.
        is_yanked: whether it is not to be chosen any more (PEP 592).
        has_metadata: whether the index has its metadata as a file beside it (PEP 658); None where it does not say.
        metadata_digests: what that file hashes to, by algorithm.
        uploaded: when it was uploaded, as the index writes it (PEP 700); empty where it does not say.
    """

    filename: str
    url: str
    project: str | None
    version: str | None
    package_type: str | None
    digests: Mapping[str, str]
    requires_python: str | None = None
    is_yanked: bool = False
    has_metadata: bool | None = None
    metadata_digests: Mapping[str, str] | None = None
    uploaded: str = ""

    @property
    def upload_time(self) -> datetime.datetime | None:
        """When it was uploaded; None where the index does not say, or says what is no time."""
        try:
            return datetime.datetime.fromisoformat(self.uploaded)
        except ValueError:
            return None

    @property
    def metadata_url(self) -> str:
        """Where its metadata is, if the index has that as a file (PEP 658)."""
        parts = urlsplit(self.url)
        return parts._replace(path=f"{parts.path}.metadata").geturl()


def from_json(item: Mapping[str, object], name: str, page_url: str) -> IndexFile:
    """Return a file that a JSON page lists (PEP 691).

    Args:
        item: of the page's list; its file name is one of an sdist or wheel.
        name: the project, normalized.
        page_url: the address of the page.

    Raises:
        ValueError: a field has another type than the standard gives it.
    """
    filename, url = _read_text(item["filename"]), _read_text(item.get("url"))
    # What is plainly an address needs no parser, which takes longer than all the rest.
    is_plain = url.isascii() and "[" not in url and "]" not in url
    is_absolute = is_plain and url.startswith(("https://", "http://"))
    project, version, package_type = split_filename(filename, name)
    metadata = item.get("core-metadata", item.get("dist-info-metadata"))
    metadata_digests: dict[str, str] | None = None
    if metadata is True:
        metadata_digests = {}
    if isinstance(metadata, dict):
        metadata_digests = _read_digests(metadata)
    requires_python, uploaded = item.get("requires-python"), item.get("upload-time")
    yanked = item.get("yanked", False)

    is_well_formed = isinstance(yanked, bool | str) and isinstance(metadata, bool | dict | None)
    if not is_well_formed:
        raise ValueError("a field of another type than PEP 691 gives it")

    return IndexFile(
        filename=filename,
        url=url if is_absolute else urljoin(page_url, url),
        project=project,
        version=version,
        package_type=package_type,
        digests=_read_digests(item.get("hashes")),
        requires_python=None if requires_python is None else _read_text(requires_python),
        is_yanked=yanked is not False,
        has_metadata=None if metadata is None else metadata is not False,
        metadata_digests=metadata_digests,
        uploaded="" if uploaded is None else _read_text(uploaded),
    )


def from_link(package: DistributionPackage) -> IndexFile:
    """Return a file that an HTML page links to (PEP 503)."""
    return IndexFile(
        filename=package.filename,
        url=package.url,
        project=package.project,
        version=package.version,
        package_type=package.package_type,
        digests=package.digests,
        requires_python=package.requires_python,
        is_yanked=package.is_yanked,
        has_metadata=package.has_metadata,
        metadata_digests=package.metadata_digests,
    )


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")  # noqa: TRY004 - as of any other fault of a page
    return value


def _read_digests(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else [(None, None)]
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise ValueError("expected hashes by algorithm")
    return dict(pairs)


def split_filename(filename: str, name: str) -> tuple[str | None, str | None, str | None]:
    """Return the project, the version and the kind of a file, by its name; None for what cannot be told.

    Args:
        filename: of an sdist or wheel.
        name: the project that it is said to be of, normalized: it decides where an old sdist's version begins.
    """
    if filename.endswith(".whl"):
        parts = filename.split("-")
        if len(parts) in _WHEEL_PARTS:
            return parts[0], parts[1], "wheel"

    for suffix in _ARCHIVES:
        if filename.endswith(suffix):
            project, _, version = filename.removesuffix(suffix).rpartition("-")
            if normalize(project) == name and is_version(version):
                return project, version, "sdist"

    return _split_odd_name(filename, name)


def _split_odd_name(filename: str, name: str) -> tuple[str | None, str | None, str | None]:
    """Do the same for a name that is not written as today's standards have it (PEP 427, 625)."""
    from pypi_simple import UnparsableFilenameError, parse_filename

    try:
        return parse_filename(filename, name)
    except UnparsableFilenameError:
        return None, None, None


@lru_cache(maxsize=4096)
def normalize(project: str) -> str:
    """Return the normalized name of a project (PEP 503)."""
    return str(canonicalize_name(project))


@lru_cache(maxsize=65536)
def is_version(text: str) -> bool:
    """Return whether a text is a version (PEP 440)."""
    try:
        Version(text)
    except (InvalidVersion, ValueError):
        return False
    return True
