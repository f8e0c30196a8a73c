"""Pages of projects, as they were parsed: to parse a page of ten thousand files takes a second, every night.

A page is a line of its own for each version, and a version is read when it is asked for: most never are.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.sources.releases import Release, group_releases
from builder.store.files import atomic_write, translate_disk_full
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FORMAT = 4
"""Part of every file's name, so that another format is another file; raise it when it or `IndexFile` changes."""

_LEVEL = 1  # pages are mostly hashes, which no level makes smaller


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A project's page.

    Attributes:
        content: hash of it.
        etag: by which the index can say that it is still the same (RFC 9110, section 8.8.3), or empty.
        releases: what it lists, the newest first.
        age_s: how long ago the index was asked for it, in seconds.
    """

    content: str
    etag: str
    releases: Sequence[Release]
    age_s: float = 0.0


class PageCache:
    """A folder of pages. Safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, url: str) -> Page | None:
        """Return the page that was last read at an address; None where there is none or its file is damaged."""
        path = self._path(url)
        try:
            head, *lines = zlib.decompress(path.read_bytes()).decode().split("\n")
            content, etag = json.loads(head)
            texts = dict(line.split("\t", 1) for line in lines)
            age_s = time.time() - path.stat().st_mtime
        except (OSError, zlib.error, ValueError, TypeError):
            return None  # it was never read, or its file is damaged: the page is fetched again

        releases = group_releases(texts=texts)
        return Page(content=content, etag=etag, releases=releases, age_s=max(age_s, 0.0))

    def put(self, url: str, page: Page) -> None:
        """Write a page to the folder in place of an earlier one of the same address.

        Raises:
            NoSpaceError: the disk is full.
        """
        lines = [json.dumps([page.content, page.etag])]
        lines += [f"{release.version}\t{json.dumps(release.files)}" for release in page.releases]
        with translate_disk_full(self._folder), atomic_write(self._path(url)) as aside:
            aside.write_bytes(zlib.compress("\n".join(lines).encode(), _LEVEL))

    def confirm(self, url: str) -> None:
        """Note that the index has just said that a page is still the same."""
        os.utime(self._path(url))

    def _path(self, url: str) -> Path:
        return self._folder / digest(_FORMAT, url)
