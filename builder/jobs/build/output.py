"""The door through which a build's wheels leave its container: the engine's tar stream, read by rules of our own.

The folder was in the hands of the build: there may be links, devices, FIFOs and sparse files of terabytes in it. Only
what was asked for is taken, and the first thing that is not ends the reading.
"""

from __future__ import annotations

import os
import re
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from builder.distributions.identity import explain_mismatch
from builder.distributions.tags import accepts_wheel
from builder.untrusted.text import show
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST_WHEEL_BYTES = 4 << 30
"""All wheels of a build together: an installer refuses what does not fit a zip without extensions, long before. Not
measured."""

_MOST_NAME_CHARS = 255  # what file systems take for one name
_CHUNK_BYTES = 1 << 20
_ZEROS = bytes(_CHUNK_BYTES)

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
"""The characters that names, versions, tags and build tags of wheels are made of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why what a build left was refused.

    Attributes:
        code: the finding that it becomes (builder/judge/codes.toml).
        reason: what was wrong, in one printable line.
    """

    code: FindingCode
    reason: str


class RefusedOutputError(Exception):
    """A build left something else than the wheels that were asked for; the text says what.

    Attributes:
        refusal: the same, as a record.
    """

    def __init__(self, reason: str, code: FindingCode = "WF216") -> None:
        self.refusal = Refusal(code=code, reason=reason)
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What a build was asked for.

    Attributes:
        name: name of the package.
        version: its version.
        abis: the ABIs to build for, one wheel at most for each.
        takes_pure: whether a wheel for every Python is a right answer.
    """

    name: str
    version: str
    abis: Sequence[str]
    takes_pure: bool = False


def take_wheels(stream: IO[bytes], folder: Path, expected: Expectation) -> dict[str, Path]:
    """Take the wheels of a build from the engine's archive of its output folder, and return them by ABI.

    Args:
        stream: the archive, as `docker cp CONTAINER:FOLDER -` gives it; it is read once, in order, and only as far as
            it is what was expected.
        folder: an empty folder of the host, where the wheels go.
        expected: what was asked for.

    Raises:
        RefusedOutputError: there is something else in the archive. No wheel of it is left in the folder.
    """
    wheels: dict[str, Path] = {}
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            _take_members(archive, folder, expected, wheels)
    except RefusedOutputError:
        _remove(wheels)
        raise
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        _remove(wheels)
        raise RefusedOutputError(f"what it left cannot be read: {show(str(error))}") from None

    share_wheels(wheels, expected.abis)
    return wheels


def share_wheels(wheels: dict[str, Path], abis: Sequence[str]) -> None:
    """Give each ABI that got no wheel of its own the first one that its interpreter takes, too.

    cibuildwheel builds no second time what serves the next interpreter: `py3-none-linux_x86_64`, whose native code is
    loaded by ctypes, serves all of them, with and without the GIL.
    """
    taken = list(wheels.values())
    for abi in abis:
        for wheel in taken:
            if accepts_wheel(wheel.name, abi):
                wheels.setdefault(abi, wheel)


def _take_members(
    archive: tarfile.TarFile, folder: Path, expected: Expectation, wheels: dict[str, Path]
) -> None:
    """Take every member of the archive but the first, which is the folder itself.

    Args:
        archive: the archive.
        folder: where the wheels go.
        expected: what was asked for.
        wheels: takes the path of each wheel by ABI, before anything is written there.
    """
    members = iter(archive)
    root = next(members, None)
    if root is None or not root.isdir():
        raise RefusedOutputError("the folder of its wheels is no folder any more")

    left_bytes = _MOST_WHEEL_BYTES
    for member in members:
        name = member.name.removeprefix(f"{root.name.rstrip('/')}/")
        abi = _check_member(member, name, expected, left_bytes)
        left_bytes -= member.size
        if abi in wheels:
            raise RefusedOutputError(f"it left {show(name)}, a second wheel for {abi}")

        wheels[abi] = folder / name
        _write_member(archive, member, wheels[abi])


def match_abi(filename: str, expected: Expectation) -> str:
    """Return the ABI that a wheel was made for: the first whose interpreter takes it (`x-1-cp314-cp314t-linux.whl`).

    One that several take, such as `py3-none-linux_x86_64`, counts for the first.

    Raises:
        RefusedOutputError: the name is none that a wheel of this package may have, or none of the ABIs takes it.
    """
    is_plain = len(filename) <= _MOST_NAME_CHARS and _FILE_NAME.fullmatch(filename)
    if not is_plain:
        raise RefusedOutputError(f"it left {show(filename)}, which is no name of a wheel")
    mismatch = explain_mismatch(expected.name, expected.version, filename)
    if mismatch:
        raise RefusedOutputError(mismatch, code="WF215")

    for abi in expected.abis:
        if accepts_wheel(filename, abi):
            return abi

    abis = ", ".join(expected.abis)
    raise RefusedOutputError(f"it left {show(filename)}, which is no wheel for {abis}")


def _check_member(
    member: tarfile.TarInfo, name: str, expected: Expectation, most_bytes: int
) -> str:
    """Check one member before any of its content is read, and return the ABI that it is a wheel for.

    Args:
        member: the member.
        name: its path below the folder.
        expected: what was asked for.
        most_bytes: what the members before it leave of the limit.

    Raises:
        RefusedOutputError: it is not one of the wheels that were asked for.
    """
    is_plain_file = member.type == tarfile.REGTYPE and not member.issparse()
    if not is_plain_file:
        raise RefusedOutputError(f"it left {show(name)}, which is no regular file")
    if not 0 <= member.size <= most_bytes:
        limit = f"{_MOST_WHEEL_BYTES >> 30} GiB"
        raise RefusedOutputError(
            f"it left {show(name)}; with it, its wheels have more than {limit}"
        )

    return match_abi(name, expected)


def _write_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write the content of a member to a new file.

    Zeros are left out: what took no space in the container, a sparse file of gigabytes, takes none on this machine.
    """
    content = archive.extractfile(member)
    assert content is not None, "it is a regular file"

    left = member.size
    with target.open("xb") as file:
        while left:
            chunk = content.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise EOFError("it is cut off")
            if chunk == _ZEROS[: len(chunk)]:
                file.seek(len(chunk), os.SEEK_CUR)
            else:
                file.write(chunk)
            left -= len(chunk)
        file.truncate(member.size)


def _remove(wheels: dict[str, Path]) -> None:
    for path in wheels.values():
        path.unlink(missing_ok=True)
