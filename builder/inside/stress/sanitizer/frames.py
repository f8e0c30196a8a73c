"""Frames of the stacks in a sanitizer's report: how they are printed, read, and named for people."""

import posixpath
import re
from typing import TypedDict

from .native_names import shorten_cpp

FRAME_FORMAT = "    #%n (%m+%o) %f %S"
"""Which frames the sanitizer is to print: number, path of the module and place in it, function, source file."""

_FRAME = re.compile(
    r"^    #\d+ \((?P<module_path>.+?)\+0x(?P<offset>[0-9a-f]+)\) (?P<function>.+) (?P<place>\S+)$"
)
"""As FRAME_FORMAT has it. The path of a module, of which a package decides no more than the end, comes before all else
that a package can name: functions and source files are called what it likes, also as if they were modules."""

_FRAME_BEGINNING = re.compile(r"^    #\d+ ")
_MOST_LINE_CHARS = 8000  # of a frame; the rest of a longer one, in its middle, is left out

NO_MODULE = "<null>"
"""The module of code that is in no file at all."""

_FOLDERS_ABOVE = re.compile(r"^.*/(?=[^/]+/[^/]+$)")

_SDIST_FOLDER = re.compile(r"^/tmp/project/[^/]+/")
"""Where builder/jobs/threads/sanitizer_build.py compiles."""

Location = tuple[str, int, str]
"""Path in the sdist (else the last folder and file), line (0 where it is not known) and function of a frame."""


class Frame(TypedDict):
    """A line of a stack: a function, `path:line:column` (or `<null>`), the file name of its module, and its folder.

    `offset` is where in the module it is; -1 where that is not known.
    """

    function: str
    place: str
    module: str
    folder: str
    offset: int


def is_frame(line: str) -> bool:
    """Return whether a line of a report is a frame of a stack."""
    return _FRAME_BEGINNING.match(line) is not None


def read_frame(line: str) -> Frame:
    """Return the frame on a line; of what nobody can read, as after a line break in a name, one of no module at all."""
    match = _FRAME.match(_cut_middle(line))
    if match is None:
        return Frame(function="<null>", place="<null>", module=NO_MODULE, folder="", offset=-1)

    folder, module = posixpath.split(match["module_path"])
    return Frame(
        function=match["function"],
        place=match["place"],
        module=module,
        folder=folder,
        offset=int(match["offset"], 16),
    )


def _cut_middle(line: str) -> str:
    if len(line) <= _MOST_LINE_CHARS:
        return line
    return line[: _MOST_LINE_CHARS // 2] + line[-_MOST_LINE_CHARS // 2 :]


def show_frame(frame: Frame) -> str:
    """Return a frame as text: function, path and line in the sdist, and file; `bump src/fast.c:41 (_fast.so)`."""
    path, line, function = locate(frame)
    place = f"{path}:{line} " if line else ""
    return f"{function} {place}({frame['module']})"


def name_place(frame: Frame) -> str:
    """Return a frame's function and file, such as `map_get (map.c)`.

    Without the line, the same fault has the same name in the next release, and wherever else in the function it shows.
    """
    path, _, function = locate(frame)
    file = path.rpartition("/")[2]

    return f"{function} ({file})"


def name_line(frame: Frame) -> str:
    """Return a frame's last folder, file and line: `/build/x/src/map.c:10:3` -> `src/map.c:10`."""
    path_and_line = ":".join(frame["place"].split(":")[:2])
    return _FOLDERS_ABOVE.sub("", path_and_line)


def locate(frame: Frame) -> Location:
    """Return the path, line and function of a frame; without debug information its module, 0 and the function."""
    function = shorten_cpp(frame["function"])
    if frame["place"] == "<null>":
        return frame["module"], 0, function

    path, _, line_and_column = frame["place"].partition(":")
    line = line_and_column.partition(":")[0]

    line_number = int(line) if line.isdecimal() else 0

    return _shorten_path(path), line_number, function


def _shorten_path(path: str) -> str:
    """Return the path that a source file has in the sdist; for a file outside of it, its last folder and its name.

    `/tmp/project/pkg-1.0/src/map.c` -> `src/map.c`; `/usr/include/c++/13/bits/map.h` -> `bits/map.h`.
    """
    path = posixpath.normpath(path)  # who compiles in a folder of its own leaves `build/../src`
    in_sdist = _SDIST_FOLDER.sub("", path)
    if in_sdist != path:
        return in_sdist

    return _FOLDERS_ABOVE.sub("", path)
