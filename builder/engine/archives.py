"""Files into and out of containers: the engine takes and gives them as tar archives."""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from typing import IO, TYPE_CHECKING

from builder.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LIMIT_BYTES = 512 << 20
"""How much is read into memory: wheels and their like. Answers of programs have lower limits of their own."""

_IN_MEMORY_BYTES = 64 << 20
"""Of what is sent: builds run side by side, each with its sdist and wheels."""


def pack(files: Mapping[str, bytes | Path]) -> IO[bytes]:
    """Return a tar archive of files, ready to be read; the caller closes it.

    It is kept in memory where it is small, and in a temporary file where the files have `_IN_MEMORY_BYTES` or more.

    Args:
        files: content, or the file that has it, by path; a leading slash is dropped. Content that begins with `#!`
            becomes an executable file.
    """
    sizes: dict[str, int] = {}
    for name, content in files.items():
        sizes[name] = len(content) if isinstance(content, bytes) else content.stat().st_size

    buffer: IO[bytes] = io.BytesIO()
    if sum(sizes.values()) >= _IN_MEMORY_BYTES:
        buffer = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it

    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            with _open_content(content) as source:
                is_script = source.read(2) == b"#!"
                source.seek(0)

                info = tarfile.TarInfo(name.lstrip("/"))
                info.size = sizes[name]
                info.mode = 0o755 if is_script else 0o644
                archive.addfile(info, source)

    buffer.seek(0)
    return buffer


def _open_content(content: bytes | Path) -> IO[bytes]:
    """Open content for reading, be it in memory or in a file; the caller closes it."""
    if isinstance(content, bytes):
        return io.BytesIO(content)

    return content.open("rb")


def unpack_file(stream: Iterable[bytes], target: Path) -> None:
    """Write the one file of a tar archive to a path. It may have any size: nothing of it is held in memory.

    Args:
        stream: the archive, in pieces.
        target: where the file goes.

    Raises:
        InfrastructureError: the archive is empty, or does not begin with a file.
    """
    with tempfile.TemporaryFile() as buffer:
        for chunk in stream:
            buffer.write(chunk)
        buffer.seek(0)

        with tarfile.open(fileobj=buffer) as archive:
            member = archive.next()
            content = None if member is None else archive.extractfile(member)
            if content is None:
                raise InfrastructureError(
                    f"{target.name} did not come out of its container as a file"
                )

            with target.open("wb") as file:
                shutil.copyfileobj(content, file)


def unpack(stream: Iterable[bytes], path: str, limit_bytes: int = LIMIT_BYTES) -> dict[str, bytes]:
    """Return the regular files of a tar archive, by name. Folders, links and devices are skipped.

    Args:
        stream: the archive, in pieces.
        path: what it is an archive of, for the message.
        limit_bytes: how much the archive may have. Nothing more of it is read.

    Raises:
        InfrastructureError: the archive has more than that.
    """
    buffer = io.BytesIO()
    for chunk in stream:
        if buffer.tell() + len(chunk) > limit_bytes:
            raise InfrastructureError(f"{path} is larger than {limit_bytes >> 20} MiB")
        buffer.write(chunk)
    buffer.seek(0)

    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=buffer) as archive:
        for member in archive:
            if not member.isfile():
                continue
            content = archive.extractfile(member)
            if content is not None:
                files[member.name] = content.read()

    return files
