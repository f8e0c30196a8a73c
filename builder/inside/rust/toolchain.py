"""Fetch a Rust toolchain from the farm's index proxy, and unpack it into a folder.

Usage: python toolchain.py VERSION FOLDER

It needs nothing but Python's standard library. The proxy passes on what the release's manifest lists with a sha256 and
nothing else (builder/inside/proxy/toolchains.py). Where the server does not have the release, the folder is left empty
and the build goes on with the base's own Rust; anything else that goes wrong ends the build.

An archive has one folder, in it a file `components` that names further folders, and in each of these a file
`manifest.in` beside what belongs under the prefix: `bin/`, `lib/` (rust-installer's format, version 3). The program
`install.sh` in it is not run.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from http import HTTPStatus
from pathlib import Path
from typing import IO

_URL = "http://rust.wheelfarm.invalid"
"""What the proxy answers for (builder/inside/proxy/handler.py); no host has such a name (RFC 2606)."""
_REFUSED = "wheelfarm-toolchain-refused:"
"""The beginning of a line by which builder/jobs/build/error_patterns.py knows what was wrong with an archive."""

_TIMEOUT_S = 1200.0  # the proxy fetches an archive before it answers
_CHUNK_BYTES = 1 << 20
_MAX_LISTING_BYTES = 1 << 20
_MAX_MEMBERS = 20_000  # the documentation, the largest component, is not among those that are taken
_MAX_UNPACKED_BYTES = 4 << 30  # of one archive; that of rustc has about 400 MiB
_MAX_PATH_CHARS = 1000
_MAX_COMPONENTS_BYTES = 64 << 10

_DAMAGE = (
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,
    RecursionError,
)
"""What the standard library raises where an archive is damaged or strange."""

_TOP_PARTS = 1  # of a path: the folder that all is in
_COMPONENT_PARTS = 2  # and a component's folder


class RefusedError(Exception):
    """An archive is none of a toolchain; this says in what."""


def install(version: str, folder: Path) -> bool:
    """Fetch and unpack a release, and return whether the server has it.

    Raises:
        RefusedError: an archive is not what it has to be.
        OSError: there is no answer, or no room.
    """
    try:
        with urllib.request.urlopen(f"{_URL}/{version}", timeout=_TIMEOUT_S) as answer:
            listing = json.loads(answer.read(_MAX_LISTING_BYTES))
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return False
        raise

    folder.mkdir(parents=True)
    for file in listing["files"]:
        archive = folder / "archive"
        found = _download(f"{_URL}/{version}/{file['filename']}", archive)
        if found != file["sha256"]:
            raise RefusedError(f"the sha256 of {file['filename']} is {found}, not {file['sha256']}")
        unpack(archive, folder)
        archive.unlink()
    return True


def _download(url: str, target: Path) -> str:
    """Write what is at a URL to a file, and return its sha256."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, target.open("wb") as file:
        while chunk := answer.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def unpack(archive: Path, folder: Path) -> None:
    """Put what an archive's components have under a folder.

    Raises:
        RefusedError: it is no archive of a toolchain, or unpacks to something that no toolchain has.
    """
    try:
        with tarfile.open(archive, "r|*") as tar:
            _unpack_members(tar, folder)
    except _DAMAGE as error:
        raise RefusedError(f"it is damaged ({error})") from None


def _unpack_members(tar: tarfile.TarFile, folder: Path) -> None:
    """Write the files of all components, and check that the archive names these components.

    Raises:
        RefusedError: as of `unpack`.
    """
    components: set[str] = set()
    written: set[str] = set()
    total_bytes = 0
    for count, member in enumerate(tar, start=1):
        total_bytes += member.size
        if count > _MAX_MEMBERS or total_bytes > _MAX_UNPACKED_BYTES:
            raise RefusedError("it unpacks to more than a toolchain has")

        parts = _split_path(member.name)
        if member.isdir():
            continue
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise RefusedError(f"{member.name!r} is neither a file nor a folder")

        if parts[_TOP_PARTS:] == ["components"]:
            components.update(content.read(_MAX_COMPONENTS_BYTES).decode().split())
        elif len(parts) > _COMPONENT_PARTS and parts[_COMPONENT_PARTS:] != ["manifest.in"]:
            written.add(parts[_TOP_PARTS])
            target = folder.joinpath(*parts[_COMPONENT_PARTS:])
            _write(content, target, is_program=bool(member.mode & 0o100))

    unnamed = written - components
    if unnamed or not written:
        raise RefusedError(
            f"its file `components` does not name {', '.join(sorted(unnamed)) or 'any'}"
        )


def _split_path(name: str) -> list[str]:
    """Return the parts of a member's path.

    Raises:
        RefusedError: it leads out of the folder, or is no path.
    """
    parts = name.removeprefix("./").split("/")
    is_plain = all(part not in {"", ".", ".."} and part.isprintable() for part in parts)
    if len(name) > _MAX_PATH_CHARS or (name not in {".", "./"} and not is_plain):
        raise RefusedError(f"{name[:_MAX_PATH_CHARS]!r} is no path within it")
    return parts


def _write(content: IO[bytes], target: Path, *, is_program: bool) -> None:
    """Write a file, of which there may be one by that name.

    Raises:
        RefusedError: there is one already, or a file stands where its folder has to be.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(content, file, _CHUNK_BYTES)
    except (FileExistsError, NotADirectoryError):
        raise RefusedError(f"there are two of {str(target)!r}") from None

    target.chmod(0o755 if is_program else 0o644)


def main() -> int:
    """Install what the command line names, and return the exit code."""
    version, folder = sys.argv[1], Path(sys.argv[2])
    try:
        is_there = install(version, folder)
    except RefusedError as error:
        print(f"{_REFUSED} the archive of Rust {version} is refused: {error}", flush=True)
        return 1
    except OSError as error:
        print(f"wheelfarm: Rust {version} cannot be had: {error}", flush=True)
        return 1

    if is_there:
        print(f"wheelfarm: Rust {version} is in {folder}", flush=True)
    else:
        print(
            f"wheelfarm: there is no Rust {version} to be had; the base's own is taken", flush=True
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
