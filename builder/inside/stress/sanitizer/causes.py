"""Which function of the package stands behind each side of a race or a crash, and which events have one cause.

The innermost lines of two stacks are many where one mistake is made: a table that is freed without a lock is met in
every function of a library that reads it. What the caller named, and what a maintainer would mend, is where the
interpreter handed over to the package: the outermost of its functions before that.
"""

import builtins
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

from .attribution import MOST_FRAMES, IsOwn, attribute, is_generated, make_owner_test
from .c_api import (
    CONTAINERS,
    THROUGH_VIEW,
    explain_known_race,
    is_interpreters_own,
    is_through_view,
)
from .effects import find_effect
from .frames import Frame, locate
from .native_names import NativeFunction, NativeNames, name_function
from .report_text import render_report
from .reports import Report, Stack, parse
from .stores import Stores

Event = dict[str, Any]

_INTERPRETER = ("python3", "libpython3")
_INTERPRETER_FOLDER = "lib-dynload"  # of the standard library's extension modules
_FREEING = frozenset({
    "free", "realloc", "operator delete", "operator delete[]", "munmap", "mi_free", "_mi_free", "PyObject_Free",
    "PyMem_Free", "PyMem_RawFree", "_PyMem_MiFree", "_PyObject_MiFree", "_PyMem_FreeDelayed",
})  # fmt: skip
_FREEING_FRAMES = 6  # from the top: an allocator has a few functions of its own

_CRASH_FRAME = re.compile(
    r'^  Binary file "(?P<path>[^"]+)", at (?P<symbol>[^+ ]*)\+0x(?P<offset>[0-9a-f]+) \[0x(?P<address>[0-9a-f]+)\]$'
)
"""A line of a C stack as CPython's fault handler writes it (`_Py_DumpStack`)."""

_CRASH_BEGINNING = "C stack trace (most recent call first)"
_MOST_LABELLED = 3  # functions in the name of a cause that many share


class Side(TypedDict):
    """One side of a race, or the only one of a crash.

    Attributes:
        function: dotted name in Python of the package's function that was called, else its name in C or C++; where the
            package has none near, what of a builtin type was called, such as `list.clear`.
        kind: how it is reached: `function`, `call`, `get`, `set`, `new` or `free` (NativeFunction); `builtin` where it
            is the interpreter's; empty where Python has no name for it.
        owner: dotted name of the type that it belongs to; empty where it belongs to none.
        access: `read`, `write`, `free` (it gives memory back), `lock` or `crash`.
        source: where the access is in the package's source, `FILE:LINE`; empty where that is not known.
        place: the package's innermost function that somebody wrote, `FUNCTION (FILE)`; empty where it has no name.
        builtin: the builtin type whose memory it works on by the interpreter's code, such as `list`; else empty.
        api: the function of the interpreter that the package called on the way; empty where it called none.
    """

    function: str
    kind: str
    owner: str
    access: str
    source: str
    place: str
    builtin: str
    api: str


def judge_report(
    report: Report,
    modules: set[str],
    names: NativeNames | None = None,
    folders: tuple[str, ...] = (),
    unwatched: frozenset[str] = frozenset(),
    stores: Stores | None = None,
) -> Event:
    """Return what is said of a report: its fields of an event of the kind `race`.

    Args:
        report: what the sanitizer said.
        modules: file names of the package's extension modules.
        names: which function is what in Python; None where nobody asked the process.
        folders: as for `attribution.attribute`.
        unwatched: as for `attribution.attribute`.
        stores: which stores changed something; None where nobody noted that.

    Returns:
        `kind`, what an Attribution has, `effect` (effects.py: why it harms nobody), `sides` (see Side), `known` (what
        is known of a race of the interpreter) and `report` (its text).
    """
    is_own = make_owner_test(modules, folders)
    attribution = attribute(report, modules, folders, unwatched)
    fields: Event = {"kind": report["kind"], **attribution, "effect": "", "known": ""}
    if fields["owner"] == "package" and is_interpreters_own(report, is_own):
        fields["owner"] = "interpreter"
    if fields["owner"] == "interpreter":
        fields["known"] = explain_known_race(report)
    if fields["owner"] == "package" and not fields["freed"] and is_through_view(report, is_own):
        fields["owner"], fields["known"] = "interpreter", THROUGH_VIEW
    if fields["owner"] == "package":
        fields["effect"] = find_effect(report, is_own, stores, freed=fields["freed"])

    fields["sides"] = describe_sides(report, is_own, names or NativeNames([]))
    fields["report"] = render_report(report["text"], is_own)
    return fields


class ReportJudge:
    """Reads and judges the reports about one package; those that say the same are judged once.

    Attributes:
        names: which function is what in Python; None as long as nobody has asked the process.
    """

    def __init__(
        self,
        modules: set[str],
        names: NativeNames | None = None,
        unwatched: frozenset[str] = frozenset(),
        stores: Stores | None = None,
    ) -> None:
        """Know the package; the arguments are those of `judge_report`."""
        self.names = names
        self._modules = modules
        self._unwatched = unwatched
        self._stores = stores
        self._reports: dict[str, Report] = {}
        self._judged: dict[int, Event] = {}  # by the identity of the report, which is one of those

    def read(self, text: str) -> Iterator[Report]:
        """Give every report in what a sanitizer wrote."""
        return parse(text, self._reports)

    def judge(self, report: Report) -> Event:
        """Return what is said of a report that `read` gave: see `judge_report`."""
        judged = self._judged.get(id(report))
        if judged is None:
            judged = judge_report(
                report, self._modules, self.names, unwatched=self._unwatched, stores=self._stores
            )
            self._judged[id(report)] = judged
        return judged

    def describe_crash(self, stack: str) -> list[Side]:
        """Return what stands behind a crash: see the function of this name."""
        is_own = make_owner_test(self._modules)
        return describe_crash(stack, is_own, self.names or NativeNames([]))


# --- one side -----------------------------------------------------------------


def describe_sides(report: Report, is_own: IsOwn, names: NativeNames) -> list[Side]:
    """Return what stands behind the two accesses of a report, the later one first.

    Args:
        report: what the sanitizer said.
        is_own: whether a frame is the package's.
        names: which function is what in Python.
    """
    return [describe_side(stack, is_own, names) for stack in report["stacks"][:2]]


def describe_side(stack: Stack, is_own: IsOwn, names: NativeNames) -> Side:
    """Return what stands behind an access to memory."""
    frames = stack["frames"]
    entry = find_entry(frames, is_own, names)
    access = _name_access(stack)
    builtin, method = find_builtin(frames, is_own)
    if entry is None:
        return Side(
            function=method or builtin or locate(frames[0])[2],
            kind="builtin",
            owner="",
            access=access,
            source="",
            place="",
            builtin=builtin,
            api="",
        )

    function, first_own = entry
    return Side(
        function=function.name,
        kind=function.kind,
        owner=function.owner,
        access=access,
        source=_name_source(frames[first_own:], is_own) or function.source,
        place=_name_place(frames[first_own:], is_own),
        builtin=builtin,
        api=_name_api(frames[:first_own]),
    )


def find_entry(
    frames: list[Frame], is_own: IsOwn, names: NativeNames
) -> tuple[NativeFunction, int] | None:
    """Return the function of the package that the interpreter called, and the index of the package's innermost frame.

    None where no frame of the package is near. What ends an object is called by whoever lets go of it: where that is
    the package as well, it stands for both.
    """
    entries = list(_iter_entries(frames, is_own, names))
    if not entries or entries[0][1] >= MOST_FRAMES:
        return None

    for function, first_own in entries:
        if function.kind != "free" and first_own < 2 * MOST_FRAMES:
            return function, entries[0][1]
    return entries[0]


def _iter_entries(
    frames: list[Frame], is_own: IsOwn, names: NativeNames
) -> Iterator[tuple[NativeFunction, int]]:
    """Give each function by which the interpreter came into the package, the innermost first, with its first frame."""
    stay: list[
        Frame
    ] = []  # frames of the package from where the interpreter came in, the innermost first
    first_own = 0
    for index, frame in enumerate(frames):
        if is_own(frame):
            first_own = first_own if stay else index
            stay.append(frame)
        elif stay and _is_interpreter(frame):
            yield _name_entry(stay, names), first_own
            stay = []

    if stay:
        yield _name_entry(stay, names), first_own


def _name_entry(stay: list[Frame], names: NativeNames) -> NativeFunction:
    """Return what the function is called by which the interpreter came into the package.

    That is the outermost one that Python has a name for, else the outermost one with a name in C that somebody wrote.
    Nothing is left but the file's own name where it was stripped of all of them.
    """
    outwards = list(reversed(stay))
    written = [frame for frame in outwards if not is_generated(frame)] or outwards
    named = [frame for frame in written if not frame["function"].startswith("<")]
    for frame in written:
        function = names.find(frame["module"], frame["offset"])
        if function is not None:
            return function
    for frame in named:
        function = name_function(frame["function"], frame["module"])
        if function.kind:
            return function

    if named:
        return name_function(named[0]["function"], named[0]["module"])
    return NativeFunction(outwards[0]["module"].partition(".")[0])


def _is_interpreter(frame: Frame) -> bool:
    is_program = frame["module"].startswith(_INTERPRETER)
    return is_program or frame["folder"].endswith(_INTERPRETER_FOLDER)


def _name_access(stack: Stack) -> str:
    """Return what an access does."""
    title = stack["access"]
    if "read" not in title and "write" not in title:
        return "lock"
    if "read" in title:
        return "read"

    top = {locate(frame)[2] for frame in stack["frames"][:_FREEING_FRAMES]}
    return "free" if top & _FREEING else "write"


def _name_source(frames: list[Frame], is_own: IsOwn) -> str:
    """Return file and line of the nearest frame of the package that has one and that somebody wrote; else nothing."""
    for frame in frames:
        if not is_own(frame):
            break
        path, line, _ = locate(frame)
        if line and not is_generated(frame):
            return f"{path}:{line}"

    return ""


def _name_api(frames: list[Frame]) -> str:
    """Return the function of the interpreter's source that the package called, of the frames below its own."""
    if not frames or not _is_interpreter(frames[-1]):
        return ""
    _, line, function = locate(frames[-1])
    return function if line else ""


def _name_place(frames: list[Frame], is_own: IsOwn) -> str:
    """Return the nearest function of the package that has a name and that somebody wrote; else nothing."""
    for frame in frames:
        if not is_own(frame):
            break
        path, _, function = locate(frame)
        if not function.startswith("<") and not is_generated(frame):
            return f"{function} ({path.rpartition('/')[2]})"

    return ""


def find_builtin(frames: list[Frame], is_own: IsOwn) -> tuple[str, str]:
    """Return the builtin type whose code makes an access, and the method of it that was called.

    Both are empty where other code makes it; the method also where it is not known: `list` and `list.clear` for
    `list_clear_impl` in Objects/listobject.c, called by `py_list_clear` there.
    """
    builtin, method = "", ""
    for frame in frames[:MOST_FRAMES]:
        if is_own(frame):
            break
        path, _, function = locate(frame)
        container = CONTAINERS.get(path.rpartition("/")[2])
        if container is None:
            continue
        builtin = builtin or container
        name = re.sub(rf"^_?(?:py_)?(?:{container}_?)", "", function, flags=re.IGNORECASE)
        name = name.removesuffix("_impl")
        kind = getattr(builtins, container, None)
        if container == builtin and hasattr(kind, name):
            method = f"{container}.{name}"

    return builtin, method


# --- crashes ------------------------------------------------------------------


def describe_crash(stack: str, is_own: IsOwn, names: NativeNames) -> list[Side]:
    """Return the function of the package in which a process crashed, from the fault handler's C stack; else nothing."""
    frames = list(_iter_crash_frames(stack, names))
    entry = find_entry(frames, is_own, names)
    if entry is None:
        return []

    function, _ = entry
    is_named = function.kind != "" or function.name in {frame["function"] for frame in frames}
    if not is_named:  # the name of the file alone says less than the calls that were made
        return []

    return [
        Side(
            function=function.name,
            kind=function.kind,
            owner=function.owner,
            access="crash",
            source=function.source,
            place="",
            builtin="",
            api="",
        )
    ]


def _iter_crash_frames(stack: str, names: NativeNames) -> Iterator[Frame]:
    """Give the frames of the last C stack in what the fault handler wrote."""
    written = stack.rpartition(_CRASH_BEGINNING)[2]
    for line in written.splitlines():
        match = _CRASH_FRAME.match(line)
        if match is None:
            continue
        folder, _, module = match["path"].rpartition("/")
        # Beside a symbol stands what is added to that, else where in the file it is. Addresses are those of returns:
        # the call is before.
        offset = int(match["offset"], 16) - 1
        if match["symbol"]:
            offset = names.locate(module, int(match["address"], 16) - 1)
        yield Frame(
            function=match["symbol"] or "<null>",
            place="<null>",
            module="python3" if module.startswith("python") else module,
            folder=folder,
            offset=offset,
        )


# --- one cause ----------------------------------------------------------------


def label_causes(events: Iterable[Event]) -> None:
    """Note in each event (`cause`) what all events with the same cause are called.

    Two races have the same cause where they are between the same two functions of the package, or the same lines of
    it; where all four functions are of one type, which then takes no lock; where one function writes in both; or where
    one function works on a container of the caller while others change that. A crash has the cause of the races in the
    same function.
    """
    listed = [event for event in events if event.get("sides")]
    groups = _Groups(len(listed))
    seen: dict[tuple[str, ...], int] = {}
    for number, event in enumerate(listed):
        for key in _iter_keys(event):
            # What harms nobody explains nothing that does.
            groups.join(number, seen.setdefault((event.get("effect", ""), *key), number))

    members: dict[int, list[Event]] = {}
    for number, event in enumerate(listed):
        members.setdefault(groups.find(number), []).append(event)
    for alike in members.values():
        name = _name_cause(alike)
        for event in alike:
            event["cause"] = name


class _Groups:
    """Sets of numbers that grow together (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def find(self, number: int) -> int:
        while self._parents[number] != number:
            number = self._parents[number]
        return number

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.find(one), self.find(other)))
        self._parents[second] = first


def _iter_keys(event: Event) -> Iterator[tuple[str, ...]]:
    """Give what an event has in common with all others of its cause, each as a key."""
    sides: list[Side] = event["sides"]
    own_sides = [side for side in sides if side["kind"] != "builtin"]
    functions = sorted(side["function"] for side in own_sides)
    owners = {side["owner"] for side in own_sides}
    container = find_container(event)
    if len(own_sides) == 1 and len(sides) > 1:
        # The other side is the interpreter's: what the caller shares is changed, or an object is used up.
        yield "container", functions[0], container or "object"
        if own_sides[0]["place"]:
            yield "container-place", own_sides[0]["place"], container or "object"
        return

    yield "functions", *functions
    places = sorted(side["place"] for side in own_sides)
    if len(places) > 1 and "" not in places:
        yield "places", *places
    if len(owners) == 1 and "" not in owners:
        yield "type", *owners
    for side in own_sides:
        changes_memory = side["access"] in {"write", "free", "crash"}
        if changes_memory:
            yield "writer", side["function"]


def find_container(event: Event) -> str:
    """Return the builtin type that threads share where a function of the package works on one; empty where none."""
    return str(
        event.get("shares")
        or next((side["builtin"] for side in event["sides"] if side["builtin"]), "")
    )


def _name_cause(events: list[Event]) -> str:
    """Return the name of a cause: the type whose methods race, a function and what it is given, or the functions."""
    functions: dict[str, int] = {}
    owners: set[str] = set()
    containers: set[str] = set()
    for event in events:
        own_sides = [side for side in event["sides"] if side["kind"] != "builtin"]
        for function in {side["function"] for side in own_sides}:
            functions[function] = functions.get(function, 0) + 1
        owners.update(side["owner"] for side in own_sides)
        if len(own_sides) < len(event["sides"]):
            containers.add(find_container(event))

    containers.discard("")
    if containers and len(functions) == 1:
        return f"{next(iter(functions))} and {' or '.join(sorted(containers))}"
    if len(owners) == 1 and "" not in owners and len(functions) > 1:
        return next(iter(owners))

    # What is in all of them stands for them; else the names, sorted: they stay the same from run to run.
    hubs = sorted(function for function, count in functions.items() if count == len(events))
    if len(functions) > _MOST_LABELLED and hubs:
        return " and ".join(hubs)
    named = sorted(functions)
    return " and ".join(named[:_MOST_LABELLED])
