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

_LIMIT_BYTES = 512 << 20
_IN_MEMORY_BYTES = 64 << 20


def pack(files: Mapping[str, bytes | Path]) -> IO[bytes]:
    """Return an archive of files, for the caller to close. What is large is kept on disk: a wheel may have any size.

    Args:
        files: content by path; what begins like a script is executable.
    """
    sizes = {
        name: len(one) if isinstance(one, bytes) else one.stat().st_size
        for name, one in files.items()
    }
    small = sum(sizes.values()) < _IN_MEMORY_BYTES
    buffer: IO[bytes] = io.BytesIO() if small else tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            with (
                io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as source
            ):
                info = tarfile.TarInfo(name.lstrip("/"))
                info.size = sizes[name]
                info.mode = 0o755 if source.read(2) == b"#!" else 0o644
                source.seek(0)
                archive.addfile(info, source)
    buffer.seek(0)
    return buffer


def unpack_file(stream: Iterable[bytes], target: Path) -> None:
    """Write the one file of an archive to a path, of whatever size it is.

    Args:
        stream: the archive.
        target: where the file goes.

    Raises:
        InfrastructureError: there is no file in it.
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


def unpack(stream: Iterable[bytes], path: str) -> dict[str, bytes]:
    """Return the regular files of an archive by name; links and devices are not followed.

    Args:
        stream: the archive.
        path: what it is an archive of, for the message.

    Raises:
        InfrastructureError: it is too large to be what was asked for.
    """
    buffer = io.BytesIO()
    for chunk in stream:
        if buffer.tell() + len(chunk) > _LIMIT_BYTES:
            raise InfrastructureError(f"{path} is larger than {_LIMIT_BYTES >> 20} MiB")
        buffer.write(chunk)
    buffer.seek(0)
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=buffer) as archive:
        for member in archive:
            if member.isfile() and (content := archive.extractfile(member)) is not None:
                files[member.name] = content.read()
    return files
