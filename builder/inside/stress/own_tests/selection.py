"""Choose which of a package's own tests and documents are run again, once it is known what native code each calls."""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_LEAST_S = 0.005  # what a test costs beside what it does: a framework's work before and after it
_MOST_PARTS = 4000  # that are looked at
_MOST_NAMES = 100  # callables of one part
_LONGEST_NAME = 300  # characters of a part's name: what is longer has its arguments in it

Step = dict[str, Any]
"""Tests to run again: `file`, from the folder that it is imported from, and `names`, those in the file; of documents
with examples, `file` is empty."""


Site = tuple[int, int]
"""An instruction that makes a call: the id of its code, and the place in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A test, or a document with examples, that called native code where it could be amplified.

    Attributes:
        file: the file that it is in, from the folder that this is imported from; empty for a document.
        name: its name in the file; of a document, the document's.
        seconds: how long it took.
        opening_s: how long its file took before the first test began.
        callables: the native callables, those that raised at every call left out.
    """

    file: str
    name: str
    seconds: float
    opening_s: float
    callables: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What to run again.

    Attributes:
        steps: tests and documents, in the order that they are worth running.
        callables: the native callables that they call.
        ran: files of tests that were run to their end before; only others may have more to show.
        banned: native callables after which others end the process, in one thread: threads do not make them.
    """

    steps: list[Step]
    callables: list[str]
    ran: list[str]
    banned: list[str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "steps": self.steps,
            "callables": self.callables,
            "ran": self.ran,
            "banned": self.banned,
        }


def read_part(record: object) -> Part | None:
    """Return what a record says of a part; None where it has another form than `describe_part` gives it."""
    match record:
        case {
            "file": str(file),
            "name": str(name),
            "seconds": int() | float() as seconds,
            "opening_s": int() | float() as opening_s,
            "callables": [*callables],
        } if len(file) <= _LONGEST_NAME and len(name) <= _LONGEST_NAME:
            names = [text for text in callables if isinstance(text, str)][:_MOST_NAMES]
            return Part(
                file=file,
                name=name,
                seconds=max(0.0, seconds),
                opening_s=max(0.0, opening_s),
                callables=frozenset(names),
            )

    return None


def select(
    parts: Sequence[Part],
    ran: Iterable[str],
    *,
    times: int,
    covered: Container[str] = (),
    banned: Iterable[str] = (),
) -> Selection:
    """Return which parts to run, so that every native callable is called by some of them, at little cost.

    Args:
        parts: what there is.
        ran: files of tests that were run to their end.
        times: in how many parts each callable is wanted.
        covered: callables that are wanted in one part less.
        banned: as in a Selection.
    """
    parts = parts[:_MOST_PARTS]
    frequency = _count_parts(parts)
    steps: list[Step] = []
    chosen: set[Part] = set()
    for time in range(1, times + 1):
        wanted: Counter[str] = Counter()
        for name in frequency:
            wanted[name] = time - (name in covered)
        more = _cover(parts, chosen, wanted, frequency)
        chosen.update(more)
        steps += _group_by_file(more)

    return Selection(
        steps=steps,
        callables=sorted(_count_parts(chosen)),
        ran=sorted(ran),
        banned=sorted(banned),
    )


def _count_parts(parts: Iterable[Part]) -> Counter[str]:
    """Return how many parts call each callable."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.callables)

    return counts


def _cover(
    parts: Sequence[Part], chosen: set[Part], wanted: Counter[str], frequency: Counter[str]
) -> list[Part]:
    """Return parts that, with those that were chosen, have each callable as often as it is wanted.

    A greedy cover: next comes what brings most for its time, and a callable that few parts have counts for more.

    Args:
        parts: what there is.
        chosen: what was chosen before.
        wanted: in how many parts each callable is wanted.
        frequency: how many parts call each.
    """
    missing = wanted.copy()
    for part in chosen:
        missing.subtract(part.callables)

    left = [part for part in parts if part not in chosen]
    opened: set[str] = set()
    more: list[Part] = []

    def rate(part: Part) -> float:
        gain = sum(1 / frequency[name] for name in part.callables if missing[name] > 0)
        opening_s = 0.0 if part.file in opened else part.opening_s
        return gain / (_LEAST_S + part.seconds + opening_s)

    while left:
        best = max(left, key=rate)
        if not rate(best):
            break
        left.remove(best)
        more.append(best)
        opened.add(best.file)
        missing.subtract(best.callables)

    return more


def _group_by_file(parts: Iterable[Part]) -> list[Step]:
    """Return steps for parts: what is in one file is run together, where the first of it was to be run."""
    names: dict[str, list[str]] = {}
    for part in parts:
        names.setdefault(part.file, []).append(part.name)

    return [{"file": file, "names": file_names} for file, file_names in names.items()]


class PartLog:
    """Notes which native callables each part calls, and how long it takes."""

    _MOST_OF_ONE = 12  # parts of one callable: more are no better
    _MOST_LOOKS = 5  # at calls of one callable in one part

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        self._file = ""
        self._file_began_s = 0.0
        self._opening_s: float | None = None
        self._name = ""
        self._began_s = 0.0
        self._calls: dict[Site, str] = {}
        self._looks: Counter[str] = Counter()

    def open_file(self, file: str, now_s: float) -> None:
        """Note that a file of tests is imported from now on; with an empty name, that documents follow."""
        self._file = file
        self._file_began_s = now_s
        self._opening_s = None

    def begin(self, name: str, now_s: float) -> None:
        """Note that a part begins."""
        self._name = name
        self._began_s = now_s
        self._calls.clear()
        self._looks.clear()
        if self._opening_s is None:
            self._opening_s = now_s - self._file_began_s if self._file else 0.0

    def note(self, name: str, site: Site) -> None:
        """Note that a native callable is about to be called, where a child could make the call."""
        self._calls[site] = name

    def forget(self, site: Site) -> None:
        """Note that a call raised: threads that make it are no trial of what it does."""
        self._calls.pop(site, None)

    def is_wanted(self, name: str) -> bool:
        """Count a call, and return whether it is worth a look whether a child could make it: not each of many is."""
        if not self._name:
            return False
        self._looks[name] += 1
        return self._looks[name] <= self._MOST_LOOKS and name not in self._calls.values()

    def end(self, now_s: float) -> dict[str, Any] | None:
        """Note that the part has ended; return a record of it, None where there are parts enough like it."""
        callables = dict.fromkeys(self._calls.values())
        name = self._name
        self._name = ""  # until the next one begins, nothing is noted

        is_news = any(self._told[name] < self._MOST_OF_ONE for name in callables)
        if not is_news or not name:
            return None

        self._told.update(callables.keys())
        return {
            "file": self._file,
            "name": name,
            "seconds": round(now_s - self._began_s, 4),
            "opening_s": round(self._opening_s or 0.0, 4),
            "callables": list(callables),
        }
