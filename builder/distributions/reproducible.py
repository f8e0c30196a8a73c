"""Wheels that can be compared byte for byte: their archives are put in order, and two builds of one are told apart.

A zip archive keeps the order, times and modes of its members, which say when and by whom it was packed and nothing of
what is in it. `SOURCE_DATE_EPOCH` (reproducible-builds.org) is one time for all of them.
"""

from __future__ import annotations

import shutil
import time
import zipfile
from typing import TYPE_CHECKING

from builder.store.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.store.store import Store

SOURCE_DATE_EPOCH = 1_577_836_800
"""2020-01-01: the time of every member of every wheel."""

_LEVEL = 6
_EXECUTABLE = 0o111
_PLAIN_MODE, _EXECUTABLE_MODE = 0o100644, 0o100755
_MODE_BITS = 16
_MAX_LISTED = 20


def normalize_wheel(wheel: Path) -> None:
    """Rewrite a wheel with its members in order, at one time, with one of two modes; their content stays.

    An archive that is odd in any way is left as it is: the audit is to see what the build made.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
            if not all(map(_is_plain, members)) or len({one.filename for one in members}) != len(
                members
            ):
                return
            with atomic_write(wheel) as aside:
                _rewrite(archive, sorted(members, key=_sort_key), aside)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        return


def _is_plain(member: zipfile.ZipInfo) -> bool:
    kind = member.external_attr >> _MODE_BITS & 0o170000
    return (
        kind in {0, 0o100000}
        and not member.is_dir()
        and not member.flag_bits & 0x1
        and not member.comment
    )


def _sort_key(member: zipfile.ZipInfo) -> tuple[bool, bool, str]:
    """Put metadata last, as PEP 427 recommends, and RECORD at the very end."""
    top, _, rest = member.filename.partition("/")
    return (
        top.endswith(".dist-info"),
        rest == "RECORD" and top.endswith(".dist-info"),
        member.filename,
    )


def _rewrite(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], target: Path) -> None:
    moment = time.gmtime(SOURCE_DATE_EPOCH)[:6]
    with zipfile.ZipFile(target, "w") as rewritten:
        for member in members:
            info = zipfile.ZipInfo(member.filename, moment)
            mode = member.external_attr >> _MODE_BITS
            info.external_attr = (
                _EXECUTABLE_MODE if mode & _EXECUTABLE else _PLAIN_MODE
            ) << _MODE_BITS
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = _LEVEL  # type: ignore[attr-defined] # noqa: SLF001 - public as of Python 3.13
            info.create_system = 3
            info.file_size = member.file_size
            with archive.open(member) as source, rewritten.open(info, "w") as copy:
                shutil.copyfileobj(source, copy)


def compare_wheels(before: Path, after: Path) -> list[str]:
    """Return the members that differ between two builds of a wheel; `(archive)` where only the packing does.

    Raises:
        zipfile.BadZipFile: one is no archive.
    """
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        olds = {one.filename: (one.CRC, one.file_size) for one in old.infolist()}
        news = {one.filename: (one.CRC, one.file_size) for one in new.infolist()}
    names = sorted(name for name in {*olds, *news} if olds.get(name) != news.get(name))
    # RECORD has the hashes of the others.
    content = [name for name in names if not name.endswith(".dist-info/RECORD")]
    return (content or names or ["(archive)"])[:_MAX_LISTED]


def compare_files(
    before: Mapping[str, str], after: Mapping[str, str], store: Store
) -> dict[str, list[str]]:
    """Compare what one key gave two times.

    Args:
        before: sha256 by file name, of the earlier build.
        after: the same of the later one.
        store: has the files, the earlier ones perhaps no more.

    Returns:
        By name of a wheel that both made, the members that differ, if any.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(before.keys() & after.keys()):
        if before[name] == after[name]:
            found[name] = []
        elif store.has_files({name: before[name]}):
            try:
                found[name] = compare_wheels(store.file(before[name]), store.file(after[name]))
            except zipfile.BadZipFile:
                found[name] = ["(archive)"]
    for name in sorted(before.keys() ^ after.keys()):
        found[name] = ["(file name)"]
    return found
