"""What ThreadSanitizer prints -> races, each with the places it is between."""

import re
from collections.abc import Iterator
from typing import Any

_HEADER = re.compile(r"^WARNING: ThreadSanitizer: (.+?) \(pid=\d+\)")
_ACCESS = re.compile(
    r"^  (?:Previous )?((?:atomic )?(?:[Rr]ead|[Ww]rite)) of size (\d+)|^  (?:Mutex|Cycle)",
    re.IGNORECASE,
)
_FRAME = re.compile(r"^    #\d+ (.+?) (\S+|<null>) \((.+?)\+0x[0-9a-f]+\)")
_FREEING = ("free", "realloc", "operator delete", "operator delete[]", "munmap", "mi_free")
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
_MOST_FRAMES = 14

Report = dict[str, Any]
"""`kind`; `stacks`, each with `access` and `frames` of `function`, `place`, `module`; `text`."""


def parse(text: str) -> Iterator[Report]:
    """Give every report in what a sanitizer wrote."""
    for block in text.split("=================="):
        lines = block.strip("\n").splitlines()
        header = next((match for line in lines[:3] if (match := _HEADER.match(line))), None)
        if header is not None:
            yield {"kind": header[1], "stacks": _stacks(lines), "text": block.strip()}


def _stacks(lines: list[str]) -> list[dict[str, Any]]:
    """Return the stacks of the accesses; those that tell where threads and memory come from are left out."""
    stacks: list[dict[str, Any]] = []
    open_ = False
    for line in lines:
        if line.startswith("  ") and not line.startswith("   "):
            open_ = bool(_ACCESS.match(line)) or ("Thread" not in line and "acquired" in line)
            if open_:
                stacks.append(
                    {"access": line.strip().split(" by ")[0].split(" at ")[0].lower(), "frames": []}
                )
        elif open_ and stacks and (match := _FRAME.match(line)):
            stacks[-1]["frames"].append(
                {"function": match[1], "place": match[2], "module": match[3].rpartition("/")[2]}
            )
    return [stack for stack in stacks if stack["frames"]]


def attribute(report: Report, modules: set[str]) -> dict[str, Any]:
    """Say whose race a report is.

    Args:
        report: what `parse` gave.
        modules: file names of the package's extension modules.

    Returns:
        `owner`: package, generator or interpreter; `places`, the two functions that race, sorted: of the nearest frame of the
        package in each stack, else of the top one; `lines`, where in them; `freed`, whether one access gives memory back; `lock_free`, whether one is an
        atomic operation that the package itself wrote.
    """
    places: list[str] = []
    lines: list[str] = []
    owners: set[str] = set()
    for stack in report["stacks"][:2]:
        ours = [frame for frame in stack["frames"][:_MOST_FRAMES] if frame["module"] in modules]
        written = [frame for frame in ours if not _is_generated(frame)]
        frame = (written or ours or stack["frames"])[0]
        owners.add("package" if written else "generator" if ours else "interpreter")
        places.append(_place(frame))
        lines.append(_line(frame))
    if "mutex" in report["kind"] or "lock" in report["kind"]:
        frames = [
            frame
            for stack in report["stacks"]
            for frame in stack["frames"]
            if frame["module"] in modules
        ]
        places = sorted({_place(frame) for frame in frames}) or places
        owners = {"package"} if frames else owners
    owner = next(
        (name for name in ("package", "generator", "interpreter") if name in owners), "interpreter"
    )
    tops = [stack["frames"][0]["function"].partition("(")[0] for stack in report["stacks"][:2]]
    # Lock-free code pairs an atomic access of its own with a plain one that something else orders, which cannot be seen here.
    lock_free = any(
        "atomic" in stack["access"] and _is_own_atomic(stack["frames"][0], modules)
        for stack in report["stacks"][:2]
    )
    freed = any(top in _FREEING for top in tops) or "use-after-free" in report["kind"]
    return {
        "owner": owner,
        "places": sorted(set(places)),
        "lines": sorted(set(lines)),
        "freed": freed,
        "lock_free": lock_free,
    }


def _is_own_atomic(frame: dict[str, str], modules: set[str]) -> bool:
    return (
        frame["module"] in modules
        and "/include/python" not in frame["place"]
        and not frame["function"].startswith(("Py", "_Py"))
    )


def _is_generated(frame: dict[str, str]) -> bool:
    """Return whether nobody wrote a frame's code for this package: a code generator's runtime, or a system header."""
    return frame["function"].startswith(_GENERATED) or frame["place"].startswith(
        ("/usr/", "/opt/python/")
    )


def _line(frame: dict[str, str]) -> str:
    """Return the last folder, file and line of a frame."""
    return re.sub(r"^.*/(?=[^/]+/[^/]+$)", "", ":".join(frame["place"].split(":")[:2]))


def _place(frame: dict[str, str]) -> str:
    """Return a frame's function and file: lines move from release to release, and one fault has many."""
    file = (
        _line(frame).split(":")[0].rpartition("/")[2]
        if frame["place"] != "<null>"
        else frame["module"]
    )
    return f"{frame['function'].replace('(anonymous namespace)::', '').partition('(')[0]} ({file})"
