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
_TIMEOUT_S = (15, 60)
_OLDEST_DATE = datetime.date(2005, 1, 1)
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
    """Read METADATA from a wheel by range requests: its directory at the end, then the one file.

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
            entry = next(
                (one for one in archive.infolist() if one.filename.endswith(".dist-info/METADATA")),
                None,
            )
            if entry is None or entry.file_size > _LIMIT_BYTES:
                raise NotADistributionError("it is no wheel: it has no METADATA of a sensible size")
            return WheelHead(
                metadata=parse_email(archive.read(entry))[0], build_date=_build_day(entry)
            )
    except RemoteIOError as error:
        raise requests.ConnectionError(str(error)) from None
    except RemoteZipError as error:
        raise NoRangeSupportError(str(error)) from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None
    except HTTPError as error:
        raise requests.ConnectionError(type(error).__name__) from None


def _build_day(entry: ZipInfo) -> datetime.date | None:
    try:
        day = datetime.date(*entry.date_time[:3])
    except ValueError:
        return None
    return day if day >= _OLDEST_DATE and day not in _REPRODUCIBLE_DATES else None
