"""Members of an sdist, tar or zip alike: read one by one, without unpacking.

Every reader of sdists goes through here, so that an sdist gives the same answers whichever archive it is.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from builder.distributions.tars import TarBytes
from builder.untrusted.reading import TooLargeError, read_bounded
from builder.untrusted.text import clean_line
from builder.untrusted.zips import open_member, open_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAX_TOTAL_BYTES = 4 << 30
"""Most that an sdist may unpack to: against archive bombs. Far above any real sdist; not measured."""

_MAX_MEMBERS = 50_000
"""Members of a tar. The largest known sdists have some ten thousand."""

_UNIX_MODE_SHIFT = 16
"""A zip made on Unix has the file's mode in the upper half of its external attributes (APPNOTE.TXT, 4.4.15)."""

DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,  # gzip and bz2 raise it for damage as well
    EOFError,
    NotImplementedError,  # a way of compressing that zipfile does not know
    RuntimeError,  # headers that lead to one another without an end (RecursionError)
    ValueError,  # numbers and names that make no sense, and what is larger than its bound
    LookupError,  # tables that are shorter than they say
    TypeError,
    struct.error,
    OverflowError,  # sizes that no machine has
    MemoryError,
)
"""What the standard library raises where an archive is damaged, cut off or strange."""


class NotAnSdistError(ValueError):
    """A file is no archive that can be read, or unpacks to too much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One regular file in an sdist; folders, links and devices are none.

    Attributes:
        name: its path in the archive, without a leading `./`.
        size: of its content, in bytes, as the archive states it.
        open: opens the content; only while the archive is being read.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]

    @property
    def inner_path(self) -> str:
        """The path below the top-level folder; empty where the file is in none."""
        return self.name.partition("/")[2]

    def is_top_file(self, name: str) -> bool:
        """Return whether it is a file of this name at the top of the project, which is in a folder, or in none.

        Older projects published archives without the folder that an sdist has (PEP 625).
        """
        return name in {self.name, self.inner_path}

    def read(self, limit_bytes: int) -> bytes:
        """Return the whole content, which may have at most `limit_bytes`.

        Raises:
            NotAnSdistError: it is larger than the limit, or damaged.
        """
        name = clean_line(self.name)
        with _translate_damage(), self.open() as file:
            try:
                return read_bounded(file, limit_bytes, name)
            except TooLargeError:
                raise NotAnSdistError(f"{name} has more than {limit_bytes >> 20} MiB") from None


def iter_members(sdist: Path, filename: str) -> Iterator[Member]:
    """Yield the regular files of an sdist in the archive's order, without unpacking it.

    A tar is read only as far as the caller iterates, and forwards alone: a member is read before the next is asked for.
    Folders, links and devices are skipped.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.

    Raises:
        NotAnSdistError: it is no archive, is damaged, has too many members, or unpacks to more than the farm takes.
    """
    members = _iter_zip_members(sdist) if filename.endswith(".zip") else _iter_tar_members(sdist)
    total_bytes = 0

    # Errors of whoever reads the members are not translated: they are raised outside of this generator.
    with _translate_damage():
        for member in members:
            total_bytes += member.size
            _check_total(total_bytes)
            yield member


def _iter_tar_members(sdist: Path) -> Iterator[Member]:
    """Yield the regular files of a tar; a leading `./` of their names is removed."""
    with sdist.open("rb") as file:
        content = TarBytes(file, os.fstat(file.fileno()).st_size, _MAX_TOTAL_BYTES)
        with tarfile.open(fileobj=content, mode="r:") as archive:  # type: ignore[call-overload] # it only reads
            for info in _iter_tar_infos(archive, content):
                if info.isreg():
                    yield Member(
                        name=info.name.removeprefix("./"),
                        size=info.size,
                        open=_tar_opener(archive, info, content),
                    )


def _iter_tar_infos(archive: tarfile.TarFile, content: TarBytes) -> Iterator[tarfile.TarInfo]:
    """Yield the headers of a tar, one at a time: `tarfile` keeps all of them, about 1 KiB each.

    Raises:
        NotAnSdistError: it has too many.
    """
    for _ in range(_MAX_MEMBERS):
        info = archive.next()
        if info is None:
            return
        archive.members.clear()  # type: ignore[attr-defined] # documented for this since Python 2.3
        yield info
        content.begin_member()

    raise NotAnSdistError(f"it has more than {_MAX_MEMBERS} members")


def _tar_opener(
    archive: tarfile.TarFile, info: tarfile.TarInfo, content: TarBytes
) -> Callable[[], IO[bytes]]:
    """Return a function that opens one member of a tar, until the next one is asked for."""

    def open_content() -> IO[bytes]:
        content.in_content = True
        file = archive.extractfile(info)
        assert file is not None, "it is a regular file"
        return file

    return open_content


def _iter_zip_members(sdist: Path) -> Iterator[Member]:
    """Yield the regular files of a zip, i.e. everything but folders and symbolic links."""
    with open_zip(sdist) as archive:
        for info in archive.infolist():
            if not info.is_dir() and not _is_link(info):
                yield Member(
                    name=info.filename.removeprefix("./"),
                    size=info.file_size,
                    open=_zip_opener(archive, info),
                )


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def open_content() -> IO[bytes]:
        return open_member(archive, info)

    return open_content


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> _UNIX_MODE_SHIFT)


def _check_total(total_bytes: int) -> None:
    if total_bytes > _MAX_TOTAL_BYTES:
        raise NotAnSdistError(f"it unpacks to more than {_MAX_TOTAL_BYTES >> 30} GiB")


@contextmanager
def _translate_damage() -> Iterator[None]:
    """Return a context in which any error of the standard library about a damaged archive becomes `NotAnSdistError`.

    Raises:
        NotAnSdistError: the archive is damaged.
    """
    try:
        yield
    except NotAnSdistError:
        raise
    except DAMAGE as error:
        # Damage is the sdist's fault: a traceback through the standard library would not help its reader.
        raise NotAnSdistError(clean_line(str(error) or type(error).__name__)) from None
