"""The door to a folder that somebody else filled: regular files inside it, of bounded size, and nothing else.

No link is followed below the folder, neither as a file nor as a folder on the way to it; so no path leads out. Nothing
that waits for a writer is opened to be read, and no device at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from builder.untrusted.names import parse_file_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK_BYTES = 1 << 20


class UnfitFileError(ValueError):
    """A path of the folder is no regular file, or too large. The text says what was found."""


class MissingFileError(UnfitFileError):
    """The folder has nothing at this path."""


class UntrustedFolder:
    """A folder whose content came from elsewhere, such as the wheelhouse of a shard.

    Attributes:
        path: the folder itself, which the farm's user named; it may be a link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def open(self, inner: str, limit_bytes: int) -> Iterator[IO[bytes]]:
        """Open a file of the folder for the block.

        Args:
            inner: path below the folder: `store/files/ab/abcd`.
            limit_bytes: most that the file may have.

        Raises:
            MissingFileError: there is nothing of this name.
            UnfitFileError: the path has a link, `..` or something hidden in it, or ends at anything but a regular file
                of at most that size.
        """
        descriptor = self._open_descriptor(inner)
        status = os.fstat(descriptor)
        is_regular = stat.S_ISREG(status.st_mode)
        if not is_regular or status.st_size > limit_bytes:
            os.close(descriptor)
            size = f"{inner} has {status.st_size} bytes, more than {limit_bytes}"
            raise UnfitFileError(size if is_regular else f"{inner} is no regular file")

        with os.fdopen(descriptor, "rb") as file:
            yield file

    def read(self, inner: str, limit_bytes: int) -> bytes:
        """Return the content of a file of the folder; arguments and errors are those of `open`."""
        with self.open(inner, limit_bytes) as file:
            content = file.read(limit_bytes + 1)

        if len(content) > limit_bytes:  # it grew since
            raise UnfitFileError(f"{inner} has more than {limit_bytes} bytes")
        return content

    def copy(self, inner: str, target: Path, limit_bytes: int) -> str:
        """Copy a file of the folder to a path of our own, and return the sha256 of what was copied.

        Args:
            inner: as for `open`.
            target: where to; nothing may be there.
            limit_bytes: as for `open`; a file that grows meanwhile is cut there.

        Raises:
            UnfitFileError: as for `open`.
        """
        digest = hashlib.sha256()
        copied_bytes = 0
        with self.open(inner, limit_bytes) as source, target.open("xb") as copy:
            while chunk := source.read(_CHUNK_BYTES):
                copied_bytes += len(chunk)
                if copied_bytes > limit_bytes:
                    raise UnfitFileError(f"{inner} has more than {limit_bytes} bytes")
                digest.update(chunk)
                copy.write(chunk)

        return digest.hexdigest()

    def _open_descriptor(self, inner: str) -> int:
        """Return a file descriptor for a path: each part is opened in the folder before it, and is no link."""
        parts = PurePosixPath(inner).parts
        if PurePosixPath(inner).is_absolute() or not parts:
            raise UnfitFileError(f"{inner!r} is no path below a folder")
        try:
            *folders, name = [parse_file_name(part) for part in parts]
        except ValueError as error:
            raise UnfitFileError(f"{inner!r}: {error}") from None

        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                inner_folder = os.open(
                    part,
                    os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=folder,
                )
                os.close(folder)
                folder = inner_folder

            # Not blocking: a FIFO without a writer would hold the farm for ever.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(name, flags, dir_fd=folder)
        except FileNotFoundError:
            raise MissingFileError(f"{inner} is not there") from None
        except OSError as error:
            # Of a link in the path the system says so in several ways (ELOOP, ENOTDIR), of a socket ENXIO.
            raise UnfitFileError(f"{inner} is no regular file ({error.strerror})") from None
        finally:
            os.close(folder)
