"""Pages of projects, as they were parsed: to parse a page of ten thousand files takes a second, every night."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.sources.index_file import IndexFile
from builder.store.files import atomic_write, translate_disk_full
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FORMAT = 3
"""Part of every file's name, so that another format is another file; raise it when those of `IndexFile` change."""

_LEVEL = 1  # pages are mostly hashes, which no level makes smaller


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
    files: Sequence[IndexFile]


class PageCache:
    """A folder of pages. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> Page | None:
        """Return the page that was last read at an address; None where there is none or its file is damaged."""
        try:
            content = zlib.decompress(self._path(url).read_bytes())
            record = json.loads(content)
            files = list(map(IndexFile._make, record["files"]))
            return Page(content=record["content"], etag=record["etag"], files=files)
        except (OSError, zlib.error, ValueError, KeyError, TypeError):
            return None  # it was never read, or its file is damaged: the page is fetched again

    def put(self, url: str, page: Page) -> None:
        """Write a page to the folder in place of an earlier one of the same address.

        Raises:
            NoSpaceError: the disk is full.
        """
        record = {
            "content": page.content,
            "etag": page.etag,
            "files": page.files,
        }
        with translate_disk_full(self._folder), atomic_write(self._path(url)) as aside:
            aside.write_bytes(zlib.compress(json.dumps(record).encode(), _LEVEL))

    def _path(self, url: str) -> Path:
        return self._folder / digest(_FORMAT, url)
