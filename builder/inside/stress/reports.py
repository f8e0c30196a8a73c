"""What ThreadSanitizer prints -> races, each with the places it is between."""

import itertools
import posixpath
import re
from collections.abc import Callable, Iterator
from typing import TypedDict

from .native_names import shorten_cpp

_RULE = "=================="
_HEADER = re.compile(r"^WARNING: ThreadSanitizer: (.+?) \(pid=\d+\)")
_HEADER_LINES = 3  # the header is among the first lines of its block

_OF_ONE_RUN = re.compile(
    r"\(pid=\d+\)|\(tid=\d+[^)]*\)| at 0x[0-9a-f]+| by (?:main )?thread.*$", re.MULTILINE
)
"""What differs between two reports of one race: processes, threads, addresses of memory."""

# `_read_stacks` shows an example of these lines.
_MEMORY_ACCESS = re.compile(
    r"^  (?:Previous )?(?:atomic )?(?:read|write) of size \d+", re.IGNORECASE
)
_ALLOCATION = "  Location is heap block"
_LOCK = re.compile(r"^  (?:Mutex|Cycle)", re.IGNORECASE)
_FRAME = re.compile(
    r"^    #\d+ \((?P<module_path>.+?)\+0x(?P<offset>[0-9a-f]+)\) (?P<function>.+) (?P<place>\S+)$"
)
"""As FRAME_FORMAT has it. The path of a module, of which a package decides no more than the end, comes before all else
that a package can name: functions and source files are called what it likes, also as if they were modules."""

FRAME_FORMAT = "    #%n (%m+%o) %f %S"
"""Which frames the sanitizer is to print: number, path of the module and place in it, function, source file."""

_FRAME_BEGINNING = re.compile(r"^    #\d+ ")

_MOST_LINE_CHARS = 8000  # of a frame; the rest of a longer one, in its middle, is left out
_NO_MODULE = "<null>"  # code that is in no file at all
_FOLDERS_ABOVE = re.compile(r"^.*/(?=[^/]+/[^/]+$)")
_SDIST_FOLDER = re.compile(r"^/tmp/project/[^/]+/")  # where builder/jobs/threads/race.py compiles

_FREEING = ("free", "realloc", "operator delete", "operator delete[]", "munmap", "mi_free")
"""Functions that give memory back. Of objects it is `mi_free`: images/freed-memory.patch makes it a write."""

_GENERATED = (
    "__Pyx_",
    "__pyx_tp_new",
    "pybind11::",
    "nanobind::",
    "Py_DECREF",
    "Py_INCREF",
    "Py_XDECREF",
    "_Py_NewRef",
)
"""Beginnings of functions that are compiled into a package and that nobody wrote for it: see docs/decisions/0009."""

_SYSTEM_FOLDERS = ("/usr/", "/opt/python/")
_INTERPRETER_FOLDER = "/opt/race/"  # with its own extension modules

_INSTALLED_FOLDERS = ("/usr/", "/lib/", "/lib64/", "/opt/", "/tmp/site/", "/tmp/race-site/")
"""Where code is that was there before the package ran: the image's, and what pip installed, which no package can write
to (supervise/folders.py). Code from elsewhere was brought by the package: from memory, from a file that is gone."""

MOST_FRAMES = 14  # what the package did so many calls above an access did not cause it
MOST_BYTES = 8 << 20  # of the reports of one process: a race in a loop is reported without end


class Frame(TypedDict):
    """A line of a stack: a function, `path:line:column` (or `<null>`), the file name of its module, and its folder.

    `offset` is where in the module it is; -1 where that is not known.
    """

    function: str
    place: str
    module: str
    folder: str
    offset: int


class Stack(TypedDict):
    """One access to memory, or one taking of a lock, and how the program came there."""

    access: str
    frames: list[Frame]


class Report(TypedDict):
    """One warning of the sanitizer.

    Attributes:
        kind: its words for it, such as `data race`.
        stacks: the accesses, the later one first, or the locks.
        allocation: how the memory came to be that is raced for; empty where nobody watched that.
        text: all of it.
    """

    kind: str
    stacks: list[Stack]
    allocation: list[Frame]
    text: str


IsOwn = Callable[[Frame], bool]
"""Returns whether a frame is the package's."""

Location = tuple[str, int, str]
"""Path in the sdist (else the last folder and file), line (0 where it is not known) and function of a frame."""


class Attribution(TypedDict):
    """Whose race a report is.

    Attributes:
        owner: package, generator, interpreter or unwatched.
        places: the functions that race, sorted: of the nearest frame of the package in each stack, else of the top one.
        lines: where in them, sorted.
        locations: which line is in which function, the later access first.
        freed: whether one access gives memory back.
        lock_free: whether one access is an atomic operation that the package itself wrote.
    """

    owner: str
    places: list[str]
    lines: list[str]
    locations: list[Location]
    freed: bool
    lock_free: bool


def separate(text: str) -> tuple[str, str]:
    """Return what a process wrote as errors in two parts: the sanitizer's reports, and all else."""
    blocks: list[str] = []
    others: list[str] = []
    for block in text.split(_RULE):
        is_report = any(
            _HEADER.match(line) for line in block.strip("\n").splitlines()[:_HEADER_LINES]
        )
        if is_report:
            blocks.append(f"{_RULE}{block}{_RULE}\n")
        else:
            others.append(block.strip("\n"))

    return "".join(blocks), "\n".join(filter(None, others))


def parse(text: str, known: dict[str, Report] | None = None) -> Iterator[Report]:
    """Give every report in what a sanitizer wrote; text between reports is skipped.

    `WARNING: ThreadSanitizer: data race (pid=7)` and the stacks below it -> a report of the kind `data race`.

    Args:
        text: what it wrote.
        known: earlier reports by what they say beside processes, threads and addresses, added to here: of two that say
            the same, the first is given both times. Forked processes report one race many times.
    """
    known = {} if known is None else known
    for block in text.split(_RULE):
        said = _OF_ONE_RUN.sub("", block)
        report = known.get(said)
        if report is None:
            report = _read_report(block)
            if report is None:
                continue
            known[said] = report
        yield report


def _read_report(block: str) -> Report | None:
    """Return the report that a block of text is; None where it is none."""
    lines = block.strip("\n").splitlines()
    for line in lines[:_HEADER_LINES]:
        if header := _HEADER.match(line):
            return {
                "kind": header[1],
                "stacks": _read_stacks(lines),
                "allocation": _read_allocation(lines),
                "text": block.strip(),
            }

    return None


def _read_stacks(lines: list[str]) -> list[Stack]:
    """Return the stacks of the accesses (or of the locks taken) in a report, the later access first.

    A report is a list of sections, each with a title (indented by two) and the frames of a stack (indented by four):

          Write of size 8 at 0x7204 by thread T2:
            #0 (/opt/site/_fast.so+0x1a2b) bump /tmp/project/fast-1.0/src/fast.c:41:12
          Previous read of size 8 at 0x7204 by main thread:
            #0 (/opt/site/_fast.so+0x1c3d) peek /tmp/project/fast-1.0/src/fast.c:58:5
          Thread T2 'worker' (tid=71, running) created by main thread at:
            #0 (/opt/race/tree/bin/python3.14t+0xb1) pthread_create <null>

    Here the first two are returned. Sections that show where threads and memory come from, such as the third, are
    skipped, and so are those without frames.
    """
    stacks: list[Stack] = []
    current: Stack | None = None  # the stack of this section; None in a section that is skipped
    for line in lines:
        is_title = line.startswith("  ") and not line.startswith("   ")
        if is_title:
            current = None
            if _is_access_title(line):
                current = {"access": _describe_access(line), "frames": []}
                stacks.append(current)
            continue

        if current is not None and _FRAME_BEGINNING.match(line):
            current["frames"].append(_read_frame(line))

    return [stack for stack in stacks if stack["frames"]]


def read_sections(lines: list[str]) -> Iterator[tuple[str, list[Frame]]]:
    """Give the lines of a report that are no frames, each with the frames below it; blank lines are skipped."""
    title: str | None = None
    frames: list[Frame] = []
    for line in lines:
        if _FRAME_BEGINNING.match(line):
            frames.append(_read_frame(line))
        elif line.strip() and not line.startswith(_RULE):
            if title is not None:
                yield title, frames
            title, frames = line, []

    if title is not None:
        yield title, frames


def show_frame(frame: Frame) -> str:
    """Return a frame as text: function, path and line in the sdist, and file; `bump src/fast.c:41 (_fast.so)`."""
    path, line, function = locate(frame)
    place = f"{path}:{line} " if line else ""
    return f"{function} {place}({frame['module']})"


def _read_allocation(lines: list[str]) -> list[Frame]:
    """Return the frames of the section that says where the memory comes from; empty where there is none."""
    frames: list[Frame] = []
    is_inside = False
    for line in lines:
        is_title = line.startswith("  ") and not line.startswith("   ")
        if is_title:
            is_inside = line.startswith(_ALLOCATION)
        elif is_inside and _FRAME_BEGINNING.match(line):
            frames.append(_read_frame(line))

    return frames


def _read_frame(line: str) -> Frame:
    """Return the frame on a line; of what nobody can read, as after a line break in a name, one of no module at all."""
    match = _FRAME.match(_cut_middle(line))
    if match is None:
        return Frame(function="<null>", place="<null>", module=_NO_MODULE, folder="", offset=-1)

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


def _is_access_title(title: str) -> bool:
    """Return whether a section's title is that of a memory access, or of a lock that was taken."""
    is_memory_access = _MEMORY_ACCESS.match(title) is not None
    is_lock = _LOCK.match(title) is not None
    # "Thread" begins the title of a section on where a thread comes from.
    is_acquisition = "acquired" in title and "Thread" not in title

    return is_memory_access or is_lock or is_acquisition


def _describe_access(title: str) -> str:
    """Return what an access did, in lower case, without its thread and address.

    `Previous write of size 8 at 0x7b10 by thread T1:` -> `previous write of size 8`.
    """
    return title.strip().partition(" by ")[0].partition(" at ")[0].lower()


def attribute(
    report: Report,
    modules: set[str],
    folders: tuple[str, ...] = (),
    unwatched: frozenset[str] = frozenset(),
) -> Attribution:
    """Say whose fault a report is, and which functions it is about.

    Each stack (an access to memory, with the calls that led to it) has one frame that stands for it: the innermost one
    in code that somebody wrote for the package; where there is none, the one that `_find_culprit` falls back to. A
    report about the order in which locks are taken is about every frame of the package instead.

    Args:
        report: what `parse` gave.
        modules: file names of the package's extension modules, by which its frames are known.
        folders: where else code is, besides `_INSTALLED_FOLDERS`, that was installed before the package ran.
        unwatched: file names of native code, of the package or of what it needs, that the sanitizer does not watch.

    Returns:
        `owner` (who is at fault: `package`, `generator` of code, `interpreter`, `unwatched` code), `places` (functions
        and files), `lines` and `locations` (path, line, function), `freed` and `lock_free`: see Attribution.
    """
    is_own = make_owner_test(modules, folders)
    accesses = report["stacks"][
        :2
    ]  # the two that collide; later stacks show where a lock was made or taken
    access_frames: list[Frame] = []
    owners: set[str] = set()
    for access in accesses:
        frame, frame_owner = _find_culprit(access, is_own)
        access_frames.append(frame)
        owners.add(frame_owner)

    is_about_locks = "mutex" in report["kind"] or "lock" in report["kind"]
    package_frames = _find_own_frames(report["stacks"], is_own) if is_about_locks else []
    if package_frames:
        # Every function of the package on the way to a lock is part of the fault.
        frames_at_fault, owner = package_frames, "package"
    else:
        frames_at_fault, owner = access_frames, _choose_owner(owners)
    if _is_unwatched(report, unwatched):
        owner = "unwatched"

    # `lines` has one line for each access, also where `places` and `locations` have more frames, as for locks.
    return {
        "owner": owner,
        "places": sorted({_name_place(frame) for frame in frames_at_fault}),
        "lines": sorted({_name_line(frame) for frame in access_frames}),
        "locations": list(dict.fromkeys(locate(frame) for frame in frames_at_fault)),
        "freed": _frees_memory(report),
        "lock_free": any(_is_own_atomic(access, is_own) for access in accesses),
    }


def make_owner_test(modules: set[str], folders: tuple[str, ...] = ()) -> IsOwn:
    """Return the test whether a frame is the package's; the arguments are those of `attribute`."""
    known_folders = (*_INSTALLED_FOLDERS, *(f"{folder}/" for folder in folders))

    def is_own(frame: Frame) -> bool:
        return _is_own(frame, modules, known_folders)

    return is_own


def _is_unwatched(report: Report, unwatched: frozenset[str]) -> bool:
    """Return whether the interpreter made one access of a report for native code that the sanitizer does not watch.

    What such code locks is not seen, so that the accesses may be ordered all the same. Code that makes an access of
    which there is a report is watched, whatever is known of its file.

    Args:
        report: what `parse` gave.
        unwatched: file names of such code, of the package or of what it needs.
    """
    for access in report["stacks"][:2]:
        callers = itertools.dropwhile(_is_of_interpreter, access["frames"][:MOST_FRAMES])
        nearest = next(callers, None)
        if nearest is None or nearest is access["frames"][0]:
            continue
        if nearest["module"] in unwatched:
            return True

    return False


def _is_of_interpreter(frame: Frame) -> bool:
    return frame["folder"].startswith(_INTERPRETER_FOLDER)


def _find_culprit(stack: Stack, is_own: IsOwn) -> tuple[Frame, str]:
    """Return the frame that stands for an access, and the owner of that frame.

    It is the nearest frame of the package that somebody wrote (`package`), else its nearest frame (`generator`: only
    generated code and headers), else the top one (`interpreter`). Headers alone are the package's: nobody but its own
    code calls what they have, and any source file can say that it is one (`#line`).

    Args:
        stack: the access.
        is_own: whether a frame is the package's.
    """
    own_frames = [frame for frame in stack["frames"][:MOST_FRAMES] if is_own(frame)]
    for frame in own_frames:
        if not is_generated(frame):
            return frame, "package"

    if own_frames:
        has_generator = any(frame["function"].startswith(_GENERATED) for frame in own_frames)
        return own_frames[0], "generator" if has_generator else "package"
    return stack["frames"][0], "interpreter"


def _choose_owner(owners: set[str]) -> str:
    """Return the owner of a race whose accesses have these owners: the package before a generator before the rest."""
    # A report without any stack was made so: line breaks in the names of functions or files tear it.
    if "package" in owners or not owners:
        return "package"
    if "generator" in owners:
        return "generator"
    return "interpreter"


def _find_own_frames(stacks: list[Stack], is_own: IsOwn) -> list[Frame]:
    """Return the frames of the package in all stacks, in their order; empty where there is none."""
    frames = []
    for stack in stacks:
        for frame in stack["frames"]:
            if is_own(frame):
                frames.append(frame)

    return frames


def _frees_memory(report: Report) -> bool:
    """Return whether one access of a report frees memory: then the other may use what is no longer there."""
    if "use-after-free" in report["kind"]:
        return True
    top_functions = [stack["frames"][0]["function"] for stack in report["stacks"][:2]]
    return any(function.partition("(")[0] in _FREEING for function in top_functions)


def _is_own_atomic(stack: Stack, is_own: IsOwn) -> bool:
    """Return whether an access is an atomic operation that the package itself wrote, not a header of CPython.

    Lock-free code pairs such an access with a plain one that something else orders, which cannot be seen here.
    """
    frame = stack["frames"][0]
    is_atomic = "atomic" in stack["access"]
    is_own_frame = is_own(frame)
    # What CPython's headers define is compiled into the package.
    is_inlined = "/include/python" in frame["place"] or frame["function"].startswith(("Py", "_Py"))

    return is_atomic and is_own_frame and not is_inlined


def _is_own(frame: Frame, modules: set[str], known_folders: tuple[str, ...]) -> bool:
    """Return whether a frame is the package's: of a file that it installed, or of code that it brought later.

    Args:
        frame: the frame.
        modules: file names of the package's extension modules.
        known_folders: where code is that was installed before the package ran.
    """
    if frame["module"] in modules or frame["module"] == _NO_MODULE:
        return True

    path = f"{frame['folder']}/"
    for known in known_folders:
        if path.startswith(known):
            return _leads_out(path.removeprefix(known))

    return True


def _leads_out(path: str) -> bool:
    """Return whether a path below a folder leads out of that on its way: `../tmp/link/../usr/`.

    Paths are as code was opened: `numpy/_core/../../numpy.libs/` leads nowhere else.
    """
    depth = 0
    for part in path.split("/"):
        if part == "..":
            depth -= 1
        elif part not in {"", "."}:
            depth += 1
        if depth < 0:
            return True

    return False


def is_generated(frame: Frame) -> bool:
    """Return whether a frame's code comes from a code generator or a system header: nobody wrote it for the package."""
    if frame["function"].startswith(_GENERATED):
        return True
    return frame["place"].startswith(_SYSTEM_FOLDERS)


def _name_line(frame: Frame) -> str:
    """Return a frame's last folder, file and line: `/build/x/src/map.c:10:3` -> `src/map.c:10`."""
    path_and_line = ":".join(frame["place"].split(":")[:2])
    return _FOLDERS_ABOVE.sub("", path_and_line)


def _name_place(frame: Frame) -> str:
    """Return a frame's function and file, such as `map_get (map.c)`.

    Without the line, the same fault has the same name in the next release, and wherever else in the function it shows.
    """
    path, _, function = locate(frame)
    file = path.rpartition("/")[2]

    return f"{function} ({file})"


def locate(frame: Frame) -> Location:
    """Return the path, line and function of a frame; without debug information its module, 0 and the function."""
    function = shorten_cpp(frame["function"])
    if frame["place"] == "<null>":
        return frame["module"], 0, function

    path, _, line_and_column = frame["place"].partition(":")
    line = line_and_column.partition(":")[0]

    return _shorten_path(path), int(line) if line.isdecimal() else 0, function


def _shorten_path(path: str) -> str:
    """Return the path that a source file has in the sdist; for a file outside of it, its last folder and its name.

    `/tmp/project/pkg-1.0/src/map.c` -> `src/map.c`; `/usr/include/c++/13/bits/map.h` -> `bits/map.h`.
    """
    path = posixpath.normpath(path)  # who compiles in a folder of its own leaves `build/../src`
    in_sdist = _SDIST_FOLDER.sub("", path)
    if in_sdist != path:
        return in_sdist

    return _FOLDERS_ABOVE.sub("", path)
