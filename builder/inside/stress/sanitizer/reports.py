"""What ThreadSanitizer prints -> reports, each with its stacks. Whose a race is, attribution.py says."""

import re
from collections.abc import Iterator
from typing import TypedDict

from .frames import Frame, is_frame, read_frame

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

_RACING = 2
"""Accesses that collide; stacks after them show where threads and memory come from."""

MOST_BYTES = 8 << 20  # of the reports of one process: a race in a loop is reported without end


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


def list_racing_accesses(report: Report) -> list[Stack]:
    """Return the two accesses of a data race, the later one first; none where a report is about anything else."""
    accesses = report["stacks"][:_RACING]
    is_race = "data race" in report["kind"] and len(accesses) == _RACING
    return accesses if is_race else []


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

        if current is not None and is_frame(line):
            current["frames"].append(read_frame(line))

    return [stack for stack in stacks if stack["frames"]]


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


def _read_allocation(lines: list[str]) -> list[Frame]:
    """Return the frames of the section that says where the memory comes from; empty where there is none."""
    frames: list[Frame] = []
    is_inside = False
    for line in lines:
        is_title = line.startswith("  ") and not line.startswith("   ")
        if is_title:
            is_inside = line.startswith(_ALLOCATION)
        elif is_inside and is_frame(line):
            frames.append(read_frame(line))

    return frames


def read_sections(lines: list[str]) -> Iterator[tuple[str, list[Frame]]]:
    """Give the lines of a report that are no frames, each with the frames below it; blank lines are skipped."""
    title: str | None = None
    frames: list[Frame] = []
    for line in lines:
        if is_frame(line):
            frames.append(read_frame(line))
        elif line.strip() and not line.startswith(_RULE):
            if title is not None:
                yield title, frames
            title, frames = line, []

    if title is not None:
        yield title, frames
