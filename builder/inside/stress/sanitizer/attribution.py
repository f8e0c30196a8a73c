"""Whose a race is: the package's, a code generator's, the interpreter's, or nobody's that can be known."""

import itertools
from collections.abc import Callable
from typing import TypedDict

from .frames import NO_MODULE, Frame, Location, locate, name_line, name_place
from .reports import Report, Stack

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

_LOCKS_NOTHING = ("_cffi_backend.",)
"""Beginnings of the names of files with native code of others that takes no lock for the memory it is pointed to: what
cffi reads and writes is what a package gives it."""

MOST_FRAMES = 14  # what the package did so many calls above an access did not cause it

IsOwn = Callable[[Frame], bool]
"""Returns whether a frame is the package's."""


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
    # The two that collide: later stacks show where a lock was made or taken.
    accesses = report["stacks"][:2]
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
        "places": sorted({name_place(frame) for frame in frames_at_fault}),
        "lines": sorted({name_line(frame) for frame in access_frames}),
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


def _is_own(frame: Frame, modules: set[str], known_folders: tuple[str, ...]) -> bool:
    """Return whether a frame is the package's: of a file that it installed, or of code that it brought later.

    Args:
        frame: the frame.
        modules: file names of the package's extension modules.
        known_folders: where code is that was installed before the package ran.
    """
    if frame["module"] in modules or frame["module"] == NO_MODULE:
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
        is_unknown = nearest["module"] in unwatched
        if is_unknown and not nearest["module"].startswith(_LOCKS_NOTHING):
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
