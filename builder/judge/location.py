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
    """Return what facts name as (path, line, function), line 0 where it is not known."""
    return tuple(
        Location(path=path, line=line or None, function=function) for path, line, function in lines
    )


def pair_locations(places: Sequence[str], lines: Sequence[str]) -> tuple[Location, ...]:
    """Put functions and lines together that older evidence lists apart, each sorted.

    A line goes to a function of the same file. Where a file has several, their order decides, which may be wrong:
    newer evidence says which line is in which function.

    Args:
        places: `FUNCTION (FILE)` of each access; one where all are in the same function.
        lines: `FOLDER/FILE:LINE` of each access; `<null>` where there was no debug information.
    """
    functions: dict[str, list[str]] = {}
    for place in places:
        function, _, file = place.removesuffix(")").rpartition(" (")
        functions.setdefault(file, []).append(function)

    locations: list[Location] = []
    for text in lines:
        path, _, number = text.rpartition(":")
        if not number.isdecimal():
            continue
        in_file = functions.get(PurePosixPath(path).name, [""])
        function = in_file.pop(0) if len(in_file) > 1 else in_file[0]
        locations.append(Location(path=path, line=int(number), function=function))

    located = {location.place for location in locations}
    for file, names in functions.items():
        for name in names:
            bare = Location(path=file, function=name)
            if bare not in located:
                locations.append(bare)

    return tuple(locations)
