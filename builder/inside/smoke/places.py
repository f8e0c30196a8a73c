"""Where a call is made: the line of the application, and the line of a package that it came through."""

import os
import threading
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

_DEEPEST = 200  # frames that are looked at
_FROZEN = "<frozen "

_Lock = type(threading.Lock())
_RLock = type(threading.RLock())


class Place(NamedTuple):
    """A line of source, such as `shop/main.py`, 12, `check`; the file of `python -c` is `<string>`."""

    file: str
    line: int
    function: str


class Places:
    """Tells the application's own code from that of packages and of Python.

    Attributes:
        site: the folder that packages are installed in, with a slash at its end.
        libraries: what the names of files begin with that are not the application's.
    """

    def __init__(self, site: str, project: str, environment: str) -> None:
        """Take folders.

        Args:
            site: that packages are installed in.
            project: that commands are run in.
            environment: the virtual environment.
        """
        self.site = f"{site}/"
        self._homes = (self.site, f"{project}/", f"{environment}/")
        self.libraries = (self.site, f"{os.path.dirname(os.__file__)}/", _FROZEN)  # noqa: PTH120 - once for each call

    def find_line(self, frame: types.FrameType) -> Place | None:
        """Return the innermost line of the application that led to a frame; None where packages alone did."""
        for outer in iter_frames(frame):
            if not outer.f_code.co_filename.startswith(self.libraries):
                return self.describe(outer)

        return None

    def describe(self, frame: types.FrameType) -> Place:
        """Return the line that a frame is at."""
        code = frame.f_code
        file = code.co_filename
        for home in self._homes:
            file = file.removeprefix(home)

        return Place(file=file, line=frame.f_lineno or 0, function=code.co_qualname)


def iter_frames(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    """Iterate over a frame and those above it."""
    for _ in range(_DEEPEST):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def is_importing(frame: types.FrameType) -> bool:
    """Return whether a module is being imported further up."""
    return any(
        outer.f_code.co_filename.startswith("<frozen importlib") for outer in iter_frames(frame)
    )


def is_guarded(frame: types.FrameType) -> bool:
    """Return whether the only thread holds a lock that code on the way to a frame has at hand.

    What is done under a lock is protected by it already. Looked at are the variables of each frame, what `self` has,
    and the globals that its code names.
    """
    return any(_has_held_lock(outer) for outer in iter_frames(frame))


def _has_held_lock(frame: types.FrameType) -> bool:
    return any(_is_held(value) for value in _iter_values(frame))


def _iter_values(frame: types.FrameType) -> Iterator[object]:
    variables = dict(frame.f_locals)
    yield from variables.values()
    for name in frame.f_code.co_names:
        if name in frame.f_globals:
            yield frame.f_globals[name]

    for name in ("self", "cls"):
        owner = variables.get(name)
        if owner is not None:
            yield from _read_attributes(owner)
            yield from list(vars(type(owner)).values())


def _read_attributes(owner: object) -> list[object]:
    """Return what an object's own dictionary has, without asking the object."""
    try:
        return list(object.__getattribute__(owner, "__dict__").values())
    except AttributeError:
        return []


def _is_held(value: Any) -> bool:  # noqa: ANN401 - any value of the application
    kind = type(value)
    if kind is _Lock:
        return bool(value.locked())
    if kind is _RLock:
        return bool(value._is_owned())  # noqa: SLF001 - as threading.Condition asks it
    return kind is threading.Condition and _is_held(value._lock)  # noqa: SLF001
