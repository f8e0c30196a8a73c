"""The source of CPython: taken from a cache folder or downloaded. A file with a wrong hash is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from builder.errors import InfrastructureError
from builder.host import settings as host
from builder.sources import http
from builder.sources.errors import ANSWER_ERRORS
from builder.store.files import atomic_write, file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.config.catalog import Release

CACHE_VARIABLE = "WHEELFARM_SOURCE_CACHE"
"""Environment variable that names a folder with `Python-VERSION.tar.xz` files; it is searched before the network."""


def default_cache() -> Path:
    """Return the folder downloads are kept in."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"

    return Path(cache) / "wheelfarm" / "sources"


def cached_files(release: Release) -> list[Path]:
    """Return the source files of a release in the cache folders; their hashes are not checked."""
    paths = [folder / release.filename for folder in _cache_folders()]

    return [path for path in paths if path.is_file()]


def fetch_source(release: Release, say: Callable[[str], None]) -> Path:
    """Return a file with the source of a release of CPython, whose hash was checked.

    The cache folders are searched first. A download is kept in the default one.

    Args:
        release: the release.
        say: shows one line of progress.

    Raises:
        InfrastructureError: no place has it; the text names every place and what is wrong with it.
    """
    refusals: list[str] = []

    for folder in _cache_folders():
        path = folder / release.filename
        if not path.is_file():
            refusals.append(f"{folder} has no {release.filename}")
            continue
        try:
            _check_hash(path, str(path), release.sha256)
        except _WrongHashError as error:
            refusals.append(str(error))
        else:
            return path

    target = default_cache() / release.filename
    for url in _urls(release):
        say(f"fetching CPython {release.version}")
        refusal = _download(url, target, release.sha256)
        if refusal is None:
            return target
        refusals.append(refusal)

    raise InfrastructureError("; ".join([f"no source of CPython {release.version}", *refusals]))


def _cache_folders() -> list[Path]:
    """Return the folders that may have source files: the one that the user names, if any, and the default one."""
    users_folder = os.environ.get(CACHE_VARIABLE)
    if users_folder:
        return [Path(users_folder), default_cache()]

    return [default_cache()]


def _urls(release: Release) -> list[str]:
    """Return the addresses of a release's source: python.org's and, if this host has one, its Debian mirror's pool."""
    archive = host.host_archive("debian")
    if archive is None:
        return [release.upstream]

    return [release.upstream, f"{archive.main.rstrip('/')}/{release.pool}"]


def _download(url: str, target: Path, sha256: str) -> str | None:
    """Download a file and check its hash. Return None where that worked, else what is wrong.

    Nothing is left at `target` in the latter case.
    """
    try:
        with http.open_session() as session, atomic_write(target) as unfinished:
            http.download(session, url, unfinished)
            _check_hash(unfinished, url, sha256)
    except _WrongHashError as error:
        return str(error)
    except (requests.RequestException, OSError, *ANSWER_ERRORS) as error:
        return f"{url} did not answer: {type(error).__name__}"

    return None


def _check_hash(path: Path, origin: str, sha256: str) -> None:
    """Check that a file has the hash that the catalog gives for it.

    Args:
        path: the file.
        origin: where it came from, for the message.
        sha256: the hash it must have.

    Raises:
        _WrongHashError: it has another.
    """
    actual = file_sha256(path)
    if actual != sha256:
        raise _WrongHashError(f"{origin} is refused: its sha256 is {actual}, not {sha256}")


class _WrongHashError(Exception):
    """A file does not have the hash that the catalog gives for it."""
