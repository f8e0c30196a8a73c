"""A location: the line of source code that a finding is about, as a value that reports and replays compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A line of source code.

    Attributes:
        path: of the file, in the sdist or as installed: `src/fast.c`; of an extension module where only that is known.
        line: from 1; None where it is not known.
        function: empty where it is not known.
    """

    path: str
    line: int | None = None
    function: str = ""

    @property
    def place(self) -> Location:
        """Return what stays the same from release to release: lines move, and files move between folders."""
        return Location(path=PurePosixPath(self.path).name, function=self.function)


def read_locations(lines: Iterable[tuple[str, int, str]]) -> tuple[Location, ...]:
    """Return locations for lines given as (path, line, function); a line of 0 means that it is not known."""
    return tuple(
        Location(path=path, line=line or None, function=function) for path, line, function in lines
    )


def pair_locations(places: Sequence[str], lines: Sequence[str]) -> tuple[Location, ...]:
    """Return locations made of the functions and the lines that older evidence lists apart, each list sorted.

    A line goes to a function of the same file. Where a file has several functions, they are paired in order, which may
    be wrong: newer evidence says which line is in which function.

    Args:
        places: `FUNCTION (FILE)` of each access; one where all are in the same function.
        lines: `FOLDER/FILE:LINE` of each access; `<null>` where there was no debug information.
    """
    functions: dict[str, list[str]] = {}
    for place in places:  # `FUNCTION (FILE)`
        function, _, file = place.removesuffix(")").rpartition(" (")
        functions.setdefault(file, []).append(function)

    locations: list[Location] = []
    for text in lines:
        path, _, number = text.rpartition(":")
        if not number.isdecimal():
            continue  # `<null>`: without debug information there is no line to show

        # The last function of a file stays in its list, and takes all further lines of that file.
        in_file = functions.get(PurePosixPath(path).name, [""])
        function = in_file.pop(0) if len(in_file) > 1 else in_file[0]
        locations.append(Location(path=path, line=int(number), function=function))

    # Functions that no line was found for are kept without one.
    located = {location.place for location in locations}
    for file, names in functions.items():
        for name in names:
            without_line = Location(path=file, function=name)
            if without_line not in located:
                locations.append(without_line)

    return tuple(locations)
