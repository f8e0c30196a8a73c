"""Build tags of wheels (PEP 427): the number after the version, by which installers prefer a rebuild of one version.

It stands in three places: in the file's name, in the field `Build` of WHEEL, and in the hash that RECORD has of that.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from typing import TYPE_CHECKING

from builder.distributions.members import DAMAGE
from builder.distributions.reproducible import normalize_wheel
from builder.untrusted.reading import TooLargeError, read_bounded
from builder.untrusted.zips import open_member, open_zip

if TYPE_CHECKING:
    import zipfile
    from pathlib import Path

_WHEEL_LIMIT_BYTES = 1 << 20  # a dozen short lines
_RECORD_LIMIT_BYTES = 64 << 20  # a line for each of a hundred thousand files is 10 MiB

_PARTS_AFTER_TAG = 3  # interpreter, ABI, platform


def add_build_tag(wheel: Path, build_tag: str) -> Path:
    """Give a wheel a build tag, in the place of one that it has, and return where it is then.

    A wheel with anything odd about its archive stays where it is and as it is: the audit says what is wrong with it.

    Args:
        wheel: the file, under its own name.
        build_tag: such as `1`.
    """
    try:
        replaced = _write_tag(wheel, build_tag)
    except (*DAMAGE, TooLargeError, KeyError, UnicodeDecodeError, csv.Error):
        return wheel
    if not replaced or not normalize_wheel(wheel, replaced):
        return wheel

    distribution, version, *_ = wheel.name.split("-")
    tags = wheel.name.rsplit("-", _PARTS_AFTER_TAG)[1:]
    tagged = wheel.with_name("-".join([distribution, version, build_tag, *tags]))
    return wheel.rename(tagged)


def _write_tag(wheel: Path, build_tag: str) -> dict[str, bytes]:
    """Return the content that WHEEL and RECORD have with a build tag, by member; empty without one WHEEL."""
    with open_zip(wheel) as archive:
        names = archive.namelist()
        stated = [name for name in names if name.endswith(".dist-info/WHEEL")]
        if len(stated) != 1:
            return {}

        wheel_member = stated[0]
        record_member = f"{wheel_member.removesuffix('WHEEL')}RECORD"
        wheel_text = _read_text(archive, wheel_member, _WHEEL_LIMIT_BYTES)
        record_text = _read_text(archive, record_member, _RECORD_LIMIT_BYTES)

    content = _set_build(wheel_text, build_tag).encode()
    record = _set_record(record_text, wheel_member, content).encode()
    return {wheel_member: content, record_member: record}


def _read_text(archive: zipfile.ZipFile, member: str, limit_bytes: int) -> str:
    with open_member(archive, archive.getinfo(member)) as file:
        return read_bounded(file, limit_bytes, member).decode()


def _set_build(text: str, build_tag: str) -> str:
    """Return the text of WHEEL with one field `Build`, before the first empty line."""
    kept: list[str] = []
    for line in text.rstrip().splitlines():
        if not line.lower().startswith("build:"):
            kept.append(line)

    return "\n".join([*kept, f"Build: {build_tag}"]) + "\n"


def _set_record(text: str, member: str, content: bytes) -> str:
    """Return the text of RECORD with the hash and the size of a member's new content."""
    sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

    rows: list[list[str]] = []
    for row in csv.reader(io.StringIO(text)):
        is_changed = bool(row) and row[0] == member
        rows.append([member, f"sha256={sha256}", str(len(content))] if is_changed else row)

    record = io.StringIO()
    csv.writer(record, lineterminator="\n").writerows(rows)
    return record.getvalue()
