"""A wheel's metadata, read over the network without the rest of the wheel."""

from __future__ import annotations

import datetime
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from packaging.metadata import RawMetadata

from builder.distributions.members import DAMAGE
from builder.distributions.metadata import (
    METADATA_LIMIT_BYTES,
    NotADistributionError,
    describe_damage,
    is_wheel_metadata,
    parse_metadata,
)
from builder.sources import http
from builder.sources.errors import MalformedAnswerError
from builder.untrusted.reading import TooLargeError, TooSlowError, read_bounded
from builder.untrusted.zips import open_member, open_zip_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zipfile import ZipFile, ZipInfo

_DEADLINE_S = 120
"""Longest wait for a range to its end: an answer is some kilobytes, so less than for a download."""

_FIRST_BYTES = 64 << 10
"""What is asked for first, from the end: the directory of most wheels. zipfile looks there for its end, too."""

_MAX_RANGE_BYTES = 16 << 20
"""Most that is asked for at a time, and therefore taken: as for the directory of an archive that is here."""

_MAX_RANGES = 40
"""Ranges of one wheel. Three or four are enough: the end, the rest of the directory, METADATA."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
"""First and last byte, and the size of the whole file (RFC 9110, section 14.4)."""

_OLDEST_DATE = datetime.date(2005, 1, 1)
"""Older dates are what tools write for want of one, not days: the time of a zip archive begins in 1980."""

_REPRODUCIBLE_DATES = frozenset({datetime.date(2016, 1, 1), datetime.date(2020, 2, 2)})
"""Dates that build backends write into every wheel so that it can be built again alike: flit's and hatchling's."""


_RECORDED_FIELDS = ("name", "version", "requires_dist", "requires_python", "classifiers")
"""Fields of metadata that the farm asks for, and that are kept once they were read."""


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

    def record(self) -> dict[str, Any]:
        """Return what is asked of a head as JSON data; the description, most of it, is nobody's question."""
        metadata: Mapping[str, object] = self.metadata
        kept = {field: metadata[field] for field in _RECORDED_FIELDS if field in metadata}
        return {
            "metadata": kept,
            "build_date": self.build_date.isoformat() if self.build_date else None,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WheelHead:
        """Return the head that `record()` wrote as JSON data."""
        day = record["build_date"]
        return cls(
            metadata=record["metadata"],
            build_date=None if day is None else datetime.date.fromisoformat(day),
        )


def read_wheel_head(url: str, session: http.Session) -> WheelHead:
    """Return a wheel's metadata and build date, read by range requests: first the zip's directory, then METADATA.

    Args:
        url: the wheel.
        session: the calling thread's.

    Raises:
        NoRangeSupportError: the server does not answer range requests.
        NotADistributionError: it is no wheel.
        requests.RequestException: the server does not answer.
        RefusedAddressError: the server is not to be asked.
        MalformedAnswerError: the server sends more than it was asked for, or too slowly.
    """
    remote = _RemoteFile(url, session)
    try:
        with open_zip_file(remote) as archive:
            entry = _find_metadata(archive)
            with open_member(archive, entry) as member:
                content = read_bounded(member, METADATA_LIMIT_BYTES, "its METADATA")
    except requests.RequestException:
        raise  # an OSError, which damage can be, too
    except TooLargeError as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None
    except DAMAGE as error:
        raise NotADistributionError(f"it is no wheel: {describe_damage(error)}") from None

    metadata = parse_metadata(content, "its METADATA")
    return WheelHead(metadata=metadata, build_date=_find_build_date(entry))


class _RemoteFile(io.RawIOBase):
    """A file on a server, of which ranges are fetched as they are read.

    What was fetched last is kept, and read from as long as it serves.
    """

    def __init__(self, url: str, session: http.Session) -> None:
        self._url = url
        self._session = session
        self._position = 0
        self._ranges = 0
        self._start, self._kept, self._size = self._fetch(f"-{_FIRST_BYTES}", _FIRST_BYTES)

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        position = origins[whence] + offset
        if position < 0:
            raise OSError(
                "a position before the file"
            )  # zipfile expects this of files that are too short
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        rest = max(0, self._size - self._position)
        wanted = rest if size < 0 else min(size, rest)
        if not wanted:
            return b""
        if wanted > _MAX_RANGE_BYTES:
            raise NotADistributionError("it is no wheel: its directory is absurdly large")

        is_kept = self._start <= self._position and self._position + wanted <= self._start + len(
            self._kept
        )
        if not is_kept:
            last = min(self._position + max(wanted, _FIRST_BYTES), self._size) - 1
            length = last + 1 - self._position
            self._start, self._kept, _ = self._fetch(f"{self._position}-{last}", length)
            if self._start != self._position or len(self._kept) != length:
                raise MalformedAnswerError("the server sent another range of the wheel")

        begin = self._position - self._start
        self._position += wanted
        return self._kept[begin : begin + wanted]

    def _fetch(self, span: str, length: int) -> tuple[int, bytes, int]:
        """Return a range of the file: where it begins, its bytes, and the size of the whole file."""
        self._ranges += 1
        if self._ranges > _MAX_RANGES:
            raise NotADistributionError("it is no wheel: its directory leads all over the file")

        headers = {"Range": f"bytes={span}", "Accept-Encoding": "identity"}
        what = "a range of the wheel"
        try:
            with http.ask(
                self._session, self._url, what, headers=headers, deadline_s=_DEADLINE_S
            ) as response:
                response.raise_for_status()
                stated = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
                if stated is None:
                    raise NoRangeSupportError("the server hands out whole files only")
                content = read_bounded(http.open_body(response), length, what)
        except (TooLargeError, TooSlowError) as error:
            raise MalformedAnswerError(str(error)) from None

        first, last, size = (int(number) for number in stated.groups())
        if last + 1 - first != len(content):
            raise MalformedAnswerError("the server sent less of the wheel than it says")
        return first, content, size


def _find_metadata(archive: ZipFile) -> ZipInfo:
    """Return the entry of METADATA in a wheel's directory; an absurdly large one is refused."""
    for entry in archive.infolist():
        if is_wheel_metadata(entry.filename):
            if entry.file_size > METADATA_LIMIT_BYTES:
                break
            return entry

    raise NotADistributionError("it is no wheel: it has no METADATA of a sensible size")


def _find_build_date(entry: ZipInfo) -> datetime.date | None:
    """Return the day in a zip entry, or None where a build tool wrote a constant or the date is invalid."""
    year, month, day, *_ = entry.date_time
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        return None  # a zip can state a month 0

    is_constant = date < _OLDEST_DATE or date in _REPRODUCIBLE_DATES
    return None if is_constant else date
