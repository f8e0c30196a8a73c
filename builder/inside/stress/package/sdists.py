"""Unpack an sdist by rules of our own, inside the container that needs it: no archive is unpacked on the farm's host.

As a program, `sdists.py SDIST FOLDER` puts the content of the sdist's one project folder into FOLDER. An sdist that is
refused gives exit code 65 and a line `wheelfarm-sdist-refused: REASON` on standard output, in printable ASCII.

The rules are lexical and need nothing of what `tarfile` has learnt since (PEP 706): a name is looked at before
anything is written, and nothing is ever written through a link. tarfile's own filter is asked as well where there is
one.
"""

from __future__ import annotations

import errno
import lzma
import os
import posixpath
import resource
import shutil
import stat
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, NoReturn

MOST_MEMBERS = 50_000
"""Members of an sdist: more than twice what the largest projects have; not measured over all of an index."""
MOST_BYTES = 4 << 30
"""All members together, unpacked: against archive bombs. Far above any real sdist; not measured."""
_MOST_NAME_BYTES = 1000
"""A quarter of what Linux takes for a path: the project's folder comes before it."""
_MOST_PART_BYTES = 255  # what file systems take for one name
_MOST_DEPTH = 64  # folders inside folders; not measured
_PROGRAM_MEMORY_BYTES = 1 << 30
"""Of the program: headers of an archive can state any size; not measured."""
_REFUSED_EXIT_CODE = 65  # sysexits.h: EX_DATAERR
_MOST_REASON_CHARS = 300  # a reason is one line of a report, and names can be long

_REGULAR_TYPES = (tarfile.REGTYPE, tarfile.AREGTYPE)
_EXECUTABLE = 0o100  # of the owner: the other bits say nothing in a container with one user
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID
"""Only of files: folders often have the second one, which is not taken over."""
_SETS_USER = "sets the user or the group that runs it"
_LATEST_TIME = 1 << 32  # the year 2106: file systems disagree about what is later
_UNIX_MODE_SHIFT = 16
"""A zip has the mode in the upper half of the external attributes (APPNOTE.TXT, 4.4.15)."""
_ENCRYPTED = 1  # the bit of a zip member's flags

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,  # gzip and bz2 raise it for damage as well
    EOFError,
    NotImplementedError,  # a way of compressing that zipfile does not know
    RuntimeError,  # headers that follow headers without end
    ValueError,  # numbers and names that make no sense
    OverflowError,
    MemoryError,
)
"""What the standard library raises where an archive is damaged, cut off or strange."""


class SdistError(Exception):
    """An sdist is refused, or damaged; the text says why."""


def unpack(sdist: str, folder: Path) -> Path:
    """Unpack an sdist and return its root: the folder that all its files are in.

    Args:
        sdist: a `.tar.gz`, or a `.zip` as some projects still publish.
        folder: where to unpack it; it must be empty, or not be there.

    Raises:
        SdistError: it is no archive, is damaged, or has a member that is refused.
        OSError: the system does not read it, or does not write there: a full disk, for instance.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = _Target(folder)
        if sdist.endswith(".zip"):
            _unpack_zip(sdist, target)
        else:
            _unpack_tar(sdist, target)
    except _DAMAGE as error:
        is_system_error = isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}
        if is_system_error:
            raise  # says nothing about the sdist
        raise SdistError(f"{type(error).__name__}: {error}") from error

    # A well-formed sdist has one folder at its top; without any, what was unpacked is the root itself.
    if _is_project(folder):
        return folder
    return min(target.top_folders(), default=folder)


def unpack_project(sdist: str, folder: Path) -> None:
    """Put the project of an sdist into a folder: its one top-level folder; files beside that folder are left out.

    Of several folders it is the one with PKG-INFO. An archive without such a folder, as there are older ones, is all
    of it the project.

    Args:
        sdist: the file; its name says what kind of archive it is.
        folder: an empty folder.

    Raises:
        SdistError: the sdist is refused, or no single top-level folder is the project.
        OSError: as of `unpack`.
    """
    staging = Path(
        tempfile.mkdtemp(prefix=".wheelfarm-", dir=folder)
    )  # a name that no sdist can have
    unpack(sdist, staging)

    for path in _find_project(staging).iterdir():
        path.rename(folder / path.name)
    shutil.rmtree(staging)


def _find_project(unpacked: Path) -> Path:
    """Return the folder of the project in an unpacked sdist.

    Raises:
        SdistError: it cannot be told.
    """
    if _is_project(unpacked):
        return unpacked

    folders = [path for path in unpacked.iterdir() if path.is_dir() and not path.is_symlink()]
    if len(folders) == 1:
        return folders[0]

    projects = [path for path in folders if _has_file(path, "PKG-INFO")]
    if len(projects) != 1:
        raise SdistError(
            f"it has {len(folders)} top-level folders, not one, and {len(projects)} have PKG-INFO"
        )
    return projects[0]


def _is_project(folder: Path) -> bool:
    """Return whether a folder is that of a project, by the files that a build begins with."""
    return any(_has_file(folder, name) for name in ("PKG-INFO", "pyproject.toml", "setup.py"))


def _has_file(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() and not path.is_symlink()


class _Target:
    """The folder that an sdist is unpacked to, and what is in it already.

    Nothing but this class writes there. So what a path is can be known without asking the file system, and no link
    that an earlier member left is ever followed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kinds: dict[str, str] = {"": "folder"}
        self._members = 0
        self._bytes = 0

    def top_folders(self) -> list[Path]:
        """Return the folders at the top."""
        names = [name for name, kind in self._kinds.items() if kind == "folder" and name]
        return [self._folder / name for name in names if "/" not in name]

    def count(self, name: str, size: int) -> None:
        """Count one member before anything of it is written.

        Raises:
            SdistError: there are too many, or they unpack to too much, or its size is none.
        """
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise SdistError(f"it has more than {MOST_MEMBERS} members")
        if size < 0:
            _refuse(name, "has a size below zero")

        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise SdistError(f"it unpacks to more than {MOST_BYTES >> 30} GiB")

    def add_folder(self, name: str) -> None:
        """Make a folder, and those it is in. One that is there already is left as it is."""
        path = _check_name(name)
        self._make_folders(path, name)

    def add_file(
        self, name: str, content: IO[bytes], size: int, mode: int, mtime: float | None = None
    ) -> None:
        """Write a regular file. An earlier file of the same name is replaced, never written into.

        Args:
            name: the member's name.
            content: has the bytes.
            size: how many there have to be.
            mode: the member's permissions; only whether its owner may execute it counts.
            mtime: when it was changed, in seconds since 1970: makefiles compare times. None for now.
        """
        path = self._take_place(name, "file")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        permissions = 0o755 if mode & _EXECUTABLE else 0o644
        handle = os.open(path, flags, permissions)
        with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            _copy(content, file, size, name)
        path.chmod(permissions)  # whatever the umask is

        if mtime is not None and 0 <= mtime < _LATEST_TIME:  # False for NaN
            os.utime(path, (mtime, mtime), follow_symlinks=False)

    def add_symlink(self, name: str, target: str) -> None:
        """Make a symbolic link, whose target was checked."""
        place = self._take_place(name, "link")
        place.symlink_to(target)

    def add_hard_link(self, name: str, target: str) -> None:
        """Make a hard link to an earlier regular file."""
        earlier = _check_name(target)
        if self._kinds.get(earlier) != "file":
            _refuse(name, f"is a hard link to {target!r}, which is no earlier file")
        if _check_name(name) == earlier:
            _refuse(name, "is a hard link to itself")

        place = self._take_place(name, "file")
        os.link(self._folder / earlier, place, follow_symlinks=False)

    def _take_place(self, name: str, kind: str) -> Path:
        """Return where a file or link goes; what it is in is made, and an earlier file of that name is removed."""
        path = _check_name(name)
        self._make_folders(posixpath.dirname(path), name)

        place = self._folder / path
        earlier = self._kinds.get(path)
        if earlier == "file" and kind == "file":
            place.unlink()
        elif earlier is not None:
            _refuse(name, f"takes the place of an earlier {earlier}")

        self._kinds[path] = kind
        return place

    def _make_folders(self, path: str, name: str) -> None:
        """Make a folder and those it is in, each of which must be a folder and nothing else.

        Args:
            path: the folder, checked.
            name: the member that needs it, for the message.
        """
        made = ""
        for part in path.split("/") if path else ():
            made = f"{made}/{part}" if made else part
            kind = self._kinds.get(made)
            if kind is None:
                (self._folder / made).mkdir(mode=0o755)
                self._kinds[made] = "folder"
            elif kind != "folder":
                _refuse(name, f"is below a {kind}")


def _check_name(name: str) -> str:
    """Return a member's name as a path with plain parts: `./a//b/` -> `a/b`. Empty for the folder itself.

    Raises:
        SdistError: it is absolute, leads outside, is too long or too deep, or no name that a system takes.
    """
    problem = _describe_bad_text(name)
    if problem:
        _refuse(name, f"has a name that {problem}")
    if name.startswith("/"):
        _refuse(name, "has an absolute name")

    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        _refuse(name, "leads out of the sdist")
    if len(parts) > _MOST_DEPTH:
        _refuse(name, f"is more than {_MOST_DEPTH} folders deep")
    if any(len(part.encode()) > _MOST_PART_BYTES for part in parts):
        _refuse(name, f"has a part of more than {_MOST_PART_BYTES} bytes in its name")

    return "/".join(parts)


def _describe_bad_target(path: str, target: str) -> str:
    """Return what is wrong with the target of a symbolic link, to be read after it; empty where nothing is.

    Targets may go up first and then down, never down and up again: behind another link, up is not where it seems.

    Args:
        path: the link's own path, checked. No folder that it is in is a link.
        target: where it leads.
    """
    if not target:
        return "is empty"
    problem = _describe_bad_text(target)
    if problem:
        return problem
    if target.startswith("/"):
        return "is absolute"

    parts = [part for part in target.split("/") if part not in {"", "."}]
    ups = 0
    while ups < len(parts) and parts[ups] == "..":
        ups += 1
    if ".." in parts[ups:]:
        return "is not plain"
    if ups > path.count("/"):
        return "leads out of the sdist"

    return ""


def _describe_bad_text(name: str) -> str:
    """Return what is wrong with a name's text; empty where nothing is."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"

    if length > _MOST_NAME_BYTES:
        return f"has more than {_MOST_NAME_BYTES} bytes"
    if any(ord(character) < ord(" ") or character == "\x7f" for character in name):
        return "has a control character"
    return ""


def _refuse(name: str, problem: str) -> NoReturn:
    """Raise the error for a member that is refused."""
    raise SdistError(f"member {name[:_MOST_REASON_CHARS]!r} {problem}")


def _copy(content: IO[bytes], file: IO[bytes], size: int, name: str) -> None:
    """Copy exactly so many bytes.

    Raises:
        SdistError: there are fewer.
    """
    left = size
    while left:
        chunk = content.read(min(left, 1 << 20))
        if not chunk:
            _refuse(name, "is cut off")
        file.write(chunk)
        left -= len(chunk)


def _unpack_tar(sdist: str, target: _Target) -> None:
    """Unpack a tar, compressed or not. It is read once from the beginning to the end."""
    data_filter = getattr(tarfile, "data_filter", None)
    with tarfile.open(sdist, "r|*") as archive:
        for info in archive:
            target.count(info.name, info.size)
            _check_tar_member(info)
            if data_filter is not None:
                data_filter(info, "/nowhere")

            if info.isdir():
                target.add_folder(info.name)
            elif info.issym():
                target.add_symlink(info.name, info.linkname)
            elif info.islnk():
                target.add_hard_link(info.name, info.linkname)
            else:
                content = archive.extractfile(info)
                assert content is not None, "it is a regular file"
                target.add_file(info.name, content, info.size, info.mode, info.mtime)


def _check_tar_member(info: tarfile.TarInfo) -> None:
    """Check what can be said of a member without knowing the others.

    Raises:
        SdistError: it is refused.
    """
    path = _check_name(info.name)
    if info.issym():
        problem = _describe_bad_target(path, info.linkname)
        if problem:
            _refuse(info.name, f"is a link to {info.linkname!r}, which {problem}")
        return
    if info.islnk():
        _check_name(info.linkname)
        return
    if info.isdir():
        return

    is_plain_file = info.type in _REGULAR_TYPES and not info.issparse()
    if not is_plain_file:
        _refuse(info.name, "is neither a file nor a folder nor a link")
    if info.mode & _SPECIAL_BITS:
        _refuse(info.name, _SETS_USER)


def _unpack_zip(sdist: str, target: _Target) -> None:
    """Unpack a zip; links in it are refused, since the format has none that all programs agree on."""
    with zipfile.ZipFile(sdist) as archive:
        infos = archive.infolist()
        for info in infos:
            target.count(info.filename, info.file_size)

        for info in infos:
            mode = info.external_attr >> _UNIX_MODE_SHIFT
            kind = stat.S_IFMT(mode)
            if info.flag_bits & _ENCRYPTED:
                _refuse(info.filename, "is encrypted")
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                _refuse(info.filename, "is neither a file nor a folder")

            # ZipInfo.is_dir() raises an error of its own for a name of no characters.
            if info.filename.endswith("/"):
                target.add_folder(info.filename)
                continue
            if mode & _SPECIAL_BITS:
                _refuse(info.filename, _SETS_USER)
            with archive.open(info) as content:
                target.add_file(info.filename, content, info.file_size, mode)


def main() -> None:
    """Unpack the sdist that the command line names, or say why it is refused."""
    sdist, folder = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (_PROGRAM_MEMORY_BYTES, _PROGRAM_MEMORY_BYTES))
    try:
        unpack_project(sdist, Path(folder))
    except SdistError as error:
        reason = str(error)[:_MOST_REASON_CHARS].encode("unicode_escape").decode("ascii")
        print(f"wheelfarm-sdist-refused: {reason}", flush=True)
        raise SystemExit(_REFUSED_EXIT_CODE) from None


if __name__ == "__main__":
    main()
