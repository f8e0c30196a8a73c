"""Wheels that can be compared byte for byte: their archives are put in order, and two builds of one are told apart.

A zip archive keeps the order, times and modes of its members, which say when and by whom it was packed and nothing of
what is in it. `SOURCE_DATE_EPOCH` (reproducible-builds.org) is one time for all of them.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from functools import partial
from typing import TYPE_CHECKING

from builder.store.files import atomic_write
from builder.untrusted.reading import Deadline, TooSlowError
from builder.untrusted.zips import explain_bomb, open_zip

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.store.store import Store

SOURCE_DATE_EPOCH = 1_577_836_800
"""2020-01-01: the time of every member of every wheel."""

_LEVEL = 6
"""zlib's own default. Pinned, because the level is part of the bytes."""

_UNIX = 3
"""The system that made the archive: which one it was says nothing, and only Unix stores modes (APPNOTE.TXT, 4.4.2)."""

_MODE_BITS = 16
"""How far a file's mode is shifted in its external attributes."""

_KIND_MASK, _REGULAR_FILE = 0o170000, 0o100000
_EXECUTABLE = 0o111
_PLAIN_MODE, _EXECUTABLE_MODE = 0o100644, 0o100755
_ENCRYPTED = 0x1

_TIMEOUT_S = 600
"""Longest time to put one wheel in order, in seconds: ten times what one that unpacks to 3 GiB takes; not measured."""

_CHUNK_BYTES = 1 << 20

_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError)
"""What zipfile and zlib raise about bytes that are not what they should be."""

_MAX_LISTED = 20
"""Members named where two builds differ: a build that differs everywhere is not described by a longer list."""


def normalize_wheel(wheel: Path, replaced: Mapping[str, bytes] | None = None) -> bool:
    """Rewrite a wheel so that its bytes depend on its content alone: fixed order, times and modes of the members.

    A wheel with anything odd about its archive is left as it is, so that the audit sees what the build made; so is one
    that unpacks to too much, or would take too long.

    Args:
        wheel: the file.
        replaced: content of members that is written in the place of what the archive has, by name. Entries of folders,
            which say nothing, are then left out; otherwise a wheel with such entries is left as it is.

    Returns:
        Whether it was rewritten.
    """
    deadline = Deadline(_TIMEOUT_S)
    try:
        with open_zip(wheel) as archive:
            members = archive.infolist()
            if replaced:
                members = [member for member in members if not _is_folder(member)]
            if not all(map(_is_plain, members)) or _has_duplicates(members):
                return False
            if explain_bomb(archive, members, wheel.stat().st_size):
                return False

            with atomic_write(wheel) as aside:
                ordered = sorted(members, key=_sort_key)
                _rewrite(archive, ordered, aside, deadline, replaced or {})
    except (*_DAMAGE, TooSlowError):
        return False  # the audit reports it
    return True


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is an unencrypted regular file without a comment."""
    kind = member.external_attr >> _MODE_BITS & _KIND_MASK
    is_regular = kind in {0, _REGULAR_FILE} and not member.is_dir()
    is_encrypted = bool(member.flag_bits & _ENCRYPTED)

    return is_regular and not is_encrypted and not member.comment


def _is_folder(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is a folder's entry, as auditwheel writes them, and not content that is called one."""
    return member.is_dir() and not member.file_size


def _has_duplicates(members: list[zipfile.ZipInfo]) -> bool:
    names = {member.filename for member in members}
    return len(names) != len(members)


def _sort_key(member: zipfile.ZipInfo) -> tuple[bool, bool, str]:
    """Return a sort key that puts `.dist-info` last, as PEP 427 recommends, and RECORD at the very end."""
    top_folder, _, inner_path = member.filename.partition("/")
    is_metadata = top_folder.endswith(".dist-info")
    is_record = is_metadata and inner_path == "RECORD"

    return is_metadata, is_record, member.filename


def _rewrite(
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    target: Path,
    deadline: Deadline,
    replaced: Mapping[str, bytes],
) -> None:
    """Write the members of an archive to a new one, in the order given, with one time and one of two modes.

    A member that anybody may execute stays executable; all are compressed at one level.

    Raises:
        TooSlowError: the deadline has passed.
    """
    member_time = time.gmtime(SOURCE_DATE_EPOCH)[:6]
    with zipfile.ZipFile(target, "w") as rewritten:
        for member in members:
            is_executable = member.external_attr >> _MODE_BITS & _EXECUTABLE
            mode = _EXECUTABLE_MODE if is_executable else _PLAIN_MODE

            info = zipfile.ZipInfo(member.filename, member_time)
            info.external_attr = mode << _MODE_BITS
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = _LEVEL  # type: ignore[attr-defined] # noqa: SLF001 - public as of Python 3.13
            info.create_system = _UNIX
            # zipfile decides by the size whether the member needs ZIP64, before it sees any content.
            info.file_size = member.file_size

            if member.filename in replaced:
                rewritten.writestr(info, replaced[member.filename])
                continue
            with archive.open(member) as source, rewritten.open(info, "w") as copy:
                for chunk in iter(partial(source.read, _CHUNK_BYTES), b""):
                    deadline.check("putting a wheel in order")
                    copy.write(chunk)


def compare_wheels(before: Path, after: Path) -> list[str]:
    """Return the names of the members that differ between two builds of a wheel.

    RECORD is left out where other members differ, as it has their hashes. Where only the packing differs, the result is
    `["(archive)"]`. At most `_MAX_LISTED` names are returned.

    Raises:
        zipfile.BadZipFile: one is no archive.
        OSError, ValueError: the same.
    """
    old = _read_checksums(before)
    new = _read_checksums(after)
    differing = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))

    # RECORD has the hashes of the others, so it says nothing by itself.
    content = [name for name in differing if not name.endswith(".dist-info/RECORD")]
    listed = content or differing or ["(archive)"]
    return listed[:_MAX_LISTED]


def _read_checksums(wheel: Path) -> dict[str, tuple[int, int]]:
    """Return by member its CRC and size."""
    with open_zip(wheel) as archive:
        return {member.filename: (member.CRC, member.file_size) for member in archive.infolist()}


def compare_files(
    before: Mapping[str, str], after: Mapping[str, str], store: Store
) -> dict[str, list[str]]:
    """Return how the files of two builds with the same job key differ, by file name.

    For a wheel that both builds gave these are the members that differ, none if it is the same; a name that only one
    gave has `["(file name)"]`. A wheel whose earlier file is gone from the store is left out.

    Args:
        before: sha256 by file name, of the earlier build.
        after: the same of the later one.
        store: has the files, the earlier ones perhaps no more.

    Returns:
        By name of a wheel that both made, the members that differ, if any.
    """
    differences: dict[str, list[str]] = {}
    for name in sorted(before.keys() & after.keys()):
        if before[name] == after[name]:
            differences[name] = []
        elif store.has_files(
            {name: before[name]}
        ):  # else the earlier file is gone, and cannot be compared
            old, new = store.file(before[name]), store.file(after[name])
            try:
                differences[name] = compare_wheels(old, new)
            except _DAMAGE:
                differences[name] = ["(archive)"]

    # A name that only one of the builds gave is a difference by itself.
    for name in sorted(before.keys() ^ after.keys()):
        differences[name] = ["(file name)"]
    return differences
