"""Take in what watched processes said of their trials; what has another form than they write is left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..supervise.records import Records

_KINDS = ("method", "function", "type")
_ARMS = ("shared", "alone")
_MOST_EVENTS = 100  # of one command
_MOST_NAMES = 5000  # of callables
_MOST_BESIDE = 12
_MOST_SENTENCES = 3
_LONGEST_NAME = 300
_LONGEST_SENTENCE = 700
_PLACE_PARTS = 3  # file, line, function


@dataclass(slots=True)
class _Tally:
    """What the processes of one command said so far."""

    processes: int = 0
    trials: int = 0
    callables: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    skipped: dict[str, int] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def add_trial(self, trial: dict[str, Any]) -> None:
        """Add what came of one trial."""
        name = trial["name"]
        threaded = set(_list_names(trial.get("returned")))
        self.trials += 1
        self.callables.add(name)
        self.returned |= threaded

        is_on_one_object = trial.get("kind") == "method" and name in threaded
        if is_on_one_object:
            for other in threaded:
                self.pairs.add((min(name, other), max(name, other)))

        event = _read_event(trial)
        if event is not None and len(self.events) < _MOST_EVENTS:
            self.events.append(event)

    def add_summary(self, summary: dict[str, Any]) -> None:
        """Add what one process said in the end."""
        self.callables.update(name for name, _ in _iter_counts(summary.get("calls")))
        for reason, count in _iter_counts(summary.get("skipped")):
            self.skipped[reason] = self.skipped.get(reason, 0) + count


def summarize(told: Iterable[Records]) -> dict[str, Any]:
    """Return what the processes of one command said: how much was tried, and what did harm.

    Args:
        told: the records of each process; one that somebody else spoke for counts as far as it spoke itself.
    """
    tally = _Tally()
    for records in told:
        tally.processes += 1
        summary: dict[str, Any] = {}  # the last one counts
        for record in records.items:
            trial = record.get("trial")
            if isinstance(trial, dict) and _is_text(trial.get("name")):
                tally.add_trial(trial)
            if isinstance(record.get("summary"), dict):
                summary = record["summary"]
        tally.add_summary(summary)

    return {
        "processes": tally.processes,
        "trials": tally.trials,
        "callables": len(tally.callables),
        "returned": len(tally.returned),
        "pairs": len(tally.pairs),
        "skipped": tally.skipped,
        "events": tally.events,
    }


def _read_event(trial: dict[str, Any]) -> dict[str, Any] | None:
    """Return what a trial did that is harm; None where it did none, or what is said of it has another form."""
    what = trial.get("status")
    if what == "ok" and trial.get("wrong"):
        what = "wrong"
    if what not in {"crash", "hang", "wrong"} or trial.get("kind") not in _KINDS:
        return None
    arms = trial.get("arms")
    if not isinstance(arms, dict) or not all(_is_count(arms.get(name)) for name in _ARMS):
        return None

    sentences = trial.get("wrong")
    said = sentences if isinstance(sentences, list) else []
    kept = [text for text in said if isinstance(text, str)]
    return {
        "what": what,
        "name": trial["name"],
        "distribution": _read_text(trial.get("distribution")),
        "kind": trial["kind"],
        "shares": trial.get("shares") is True,
        "signal": _read_text(trial.get("signal")),
        "call": _read_text(trial.get("call")),
        "beside": _list_names(trial.get("beside"))[:_MOST_BESIDE],
        "sentences": [text[:_LONGEST_SENTENCE] for text in kept[:_MOST_SENTENCES]],
        "shared": arms["shared"],
        "alone": arms["alone"],
        "line": _read_place(trial.get("line")),
        "caller": _read_place(trial.get("caller")),
    }


def _read_place(place: object) -> dict[str, Any] | None:
    """Return a line of source; None where there is none."""
    if not isinstance(place, list) or len(place) != _PLACE_PARTS:
        return None

    file, line, function = place
    if not (_is_text(file) and isinstance(line, int) and _is_text(function)):
        return None
    return {"file": file, "line": line, "function": function}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME


def _read_text(value: object) -> str:
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""


def _is_count(value: object) -> bool:
    """Return whether a value is (how often it was shown, of how many times)."""
    return isinstance(value, list) and [type(part) for part in value] == [int, int]


def _list_names(value: object) -> list[str]:
    return [name for name in value if _is_text(name)] if isinstance(value, list) else []


def _iter_counts(value: object) -> Iterator[tuple[str, int]]:
    """Iterate over (name, how often)."""
    if not isinstance(value, dict):
        return
    for name, count in list(value.items())[:_MOST_NAMES]:
        if _is_text(name) and type(count) is int:
            yield name, count
