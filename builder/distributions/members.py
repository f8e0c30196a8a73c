"""Members of an sdist, tar or zip alike: read one by one, without unpacking.

Every reader of sdists goes through here, so that an sdist gives the same answers whichever archive it is.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MAX_TOTAL_BYTES = 4 << 30
"""Most that an sdist may unpack to: against archive bombs. Far above any real sdist; not measured."""

_UNIX_MODE_SHIFT = 16
"""A zip made on Unix has the file's mode in the upper half of its external attributes (APPNOTE.TXT, 4.4.15)."""

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,  # gzip and bz2 raise it for damage as well
    EOFError,
    NotImplementedError,  # a way of compressing that zipfile does not know
    RuntimeError,  # a zip member that is encrypted
    ValueError,  # numbers and names that make no sense
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

    def read(self, limit_bytes: int) -> bytes:
        """Return the whole content, which may have at most `limit_bytes`.

        Raises:
            NotAnSdistError: it is larger than the limit, or damaged.
        """
        with _translate_damage(), self.open() as file:
            content = file.read(limit_bytes + 1)

        if len(content) > limit_bytes:
            raise NotAnSdistError(f"{self.name} has more than {limit_bytes >> 20} MiB")
        return content


def iter_members(sdist: Path, filename: str) -> Iterator[Member]:
    """Yield the regular files of an sdist in the archive's order, without unpacking it.

    A tar is read only as far as the caller iterates. Folders, links and devices are skipped.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.

    Raises:
        NotAnSdistError: it is no archive, is damaged, or unpacks to more than the farm takes.
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
    with tarfile.open(sdist) as archive:
        for info in archive:
            if info.isreg():
                yield Member(
                    name=info.name.removeprefix("./"),
                    size=info.size,
                    open=_tar_opener(archive, info),
                )


def _tar_opener(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
    """Return a function that opens one member of a tar, for as long as the archive itself is open."""

    def open_member() -> IO[bytes]:
        file = archive.extractfile(info)
        assert file is not None, "it is a regular file"
        return file

    return open_member


def _iter_zip_members(sdist: Path) -> Iterator[Member]:
    """Yield the regular files of a zip, i.e. everything but folders and symbolic links."""
    with zipfile.ZipFile(sdist) as archive:
        for info in archive.infolist():
            if not info.is_dir() and not _is_link(info):
                yield Member(
                    name=info.filename.removeprefix("./"),
                    size=info.file_size,
                    open=_zip_opener(archive, info),
                )


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    def open_member() -> IO[bytes]:
        return archive.open(info)

    return open_member


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
    except _DAMAGE as error:
        # Damage is the sdist's fault: a traceback through the standard library would not help its reader.
        raise NotAnSdistError(str(error)) from None
