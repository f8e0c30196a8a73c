"""A wheel's metadata, read over the network without the rest of the wheel."""

from __future__ import annotations

import datetime
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from packaging.metadata import RawMetadata, parse_email
from remotezip import RemoteIOError, RemoteZip, RemoteZipError
from urllib3.exceptions import HTTPError

from builder.distributions.metadata import NotADistributionError

if TYPE_CHECKING:
    from zipfile import ZipInfo

_LIMIT_BYTES = 8 << 20
"""Largest METADATA that is read, as of a wheel that is here (builder/distributions/metadata.py)."""

_TIMEOUT_S = (15, 60)
"""Longest wait for a connection, and for the next bytes: an answer is some kilobytes, so less than for a download."""

_OLDEST_DATE = datetime.date(2005, 1, 1)
"""Older dates are what tools write for want of one, not days: the time of a zip archive begins in 1980."""

_REPRODUCIBLE_DATES = frozenset({datetime.date(2016, 1, 1), datetime.date(2020, 2, 2)})
"""Dates that build backends write into every wheel so that it can be built again alike: flit's and hatchling's."""


class NoRangeSupportError(Exception):
    """The server hands out whole files only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelHead:
    """What the metadata folder of a wheel tells.

    Attributes:
        build_date: the day the wheel was packed; None where it carries a constant date.
    """

    metadata: RawMetadata
    build_date: datetime.date | None


def read_wheel_head(url: str, session: requests.Session) -> WheelHead:
    """Return a wheel's metadata and build date, read by range requests: first the zip's directory, then METADATA.

    Args:
        url: the wheel.
        session: carries the CA bundle.

    Raises:
        NoRangeSupportError: the server does not answer range requests.
        NotADistributionError: it is no wheel.
        requests.RequestException: the server does not answer.
    """
    try:
        with RemoteZip(url, session=session, timeout=_TIMEOUT_S) as archive:
            entry = _find_metadata(archive)
            metadata, _ = parse_email(archive.read(entry))
    # Each library's errors become one of the three below; their own types mean nothing to the caller.
    except RemoteIOError as error:
        raise requests.ConnectionError(str(error)) from None
    except RemoteZipError as error:
        raise NoRangeSupportError(str(error)) from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None
    except HTTPError as error:
        raise requests.ConnectionError(type(error).__name__) from None

    return WheelHead(metadata=metadata, build_date=_find_build_date(entry))


def _find_metadata(archive: RemoteZip) -> ZipInfo:
    """Return the entry of METADATA in a wheel's directory; an absurdly large one is refused."""
    entries: list[ZipInfo] = archive.infolist()
    candidates = [entry for entry in entries if entry.filename.endswith(".dist-info/METADATA")]
    if not candidates or candidates[0].file_size > _LIMIT_BYTES:
        raise NotADistributionError("it is no wheel: it has no METADATA of a sensible size")
    return candidates[0]


def _find_build_date(entry: ZipInfo) -> datetime.date | None:
    """Return the day in a zip entry, or None where a build tool wrote a constant or the date is invalid."""
    year, month, day, *_ = entry.date_time
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None  # a zip can state a month 0

    is_constant = date < _OLDEST_DATE or date in _REPRODUCIBLE_DATES
    return None if is_constant else date
