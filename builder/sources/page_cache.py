"""What the index said of projects, as it was read: to read a page of ten thousand files takes a second, every night."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from builder.store.files import atomic_write, translate_disk_full
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pypi_simple import DistributionPackage

_FORMAT = 1
_FIELDS = (
    "filename", "url", "project", "version", "package_type", "digests", "requires_python", "is_yanked", "has_metadata",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A project's page.

    Attributes:
        content: hash of it.
        etag: by which the index can say that it is still the same (RFC 9110, section 8.8.3), or empty.
        files: what it lists.
    """

    content: str
    etag: str
    files: Sequence[DistributionPackage]


class PageCache:
    """A folder of them. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> Page | None:
        """Return the page that was read last at an address, or None."""
        try:
            kept = json.loads(zlib.decompress(self._path(url).read_bytes()))
            files = [_file(row, uploaded) for *row, uploaded in kept["files"]]
            return Page(content=kept["content"], etag=kept["etag"], files=files)
        except (OSError, zlib.error, ValueError, KeyError, TypeError):
            return None  # there is none, or it is damaged

    def put(self, url: str, page: Page) -> None:
        """Keep a page.

        Raises:
            NoSpaceError: the disk is full.
        """
        kept = {
            "content": page.content,
            "etag": page.etag,
            "files": [_row(file) for file in page.files],
        }
        with translate_disk_full(self._folder), atomic_write(self._path(url)) as aside:
            aside.write_bytes(zlib.compress(json.dumps(kept).encode(), 1))

    def _path(self, url: str) -> Path:
        return self._folder / digest(_FORMAT, url)


def _row(file: DistributionPackage) -> list[object]:
    uploaded = file.upload_time and file.upload_time.isoformat()
    return [*(getattr(file, name) for name in _FIELDS), uploaded]


def _file(row: Sequence[object], uploaded: str | None) -> DistributionPackage:
    from pypi_simple import DistributionPackage

    at = None if uploaded is None else datetime.fromisoformat(uploaded)
    return DistributionPackage(**dict(zip(_FIELDS, row, strict=True)), has_sig=None, upload_time=at)  # type: ignore[arg-type]
