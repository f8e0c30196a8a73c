"""Native calls of an application, made by several threads -> what breaks, and how much was tried. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.verdicts.wording import join_names, name_callable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.evidence.application import AmplifiedCommand, AmplifiedEvent, SourceLine
    from builder.verdicts.codes import FindingCode

_MOST_NAMED = 3
"""Callables, or commands, that are named in a sentence."""

_LEAST_SHOWN = 2
"""Times that several threads have to show what is said: once may be chance."""

_CODES: Mapping[str, FindingCode] = {"crash": "WF701", "hang": "WF702", "wrong": "WF703"}

_REASONS = {
    "lock": "under a lock that protects them",
    "threads": "while other threads were running",
    "gil": "with the GIL on",
    "native": "from within native code or an import",
    "children": "while the command waited for processes of its own",
    "time": "after the time was up",
}
"""Why calls were not tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Harm:
    """What several threads break that make a native call of an application.

    Attributes:
        package: that the callable is of.
        code: the kind of finding.
        what: one sentence.
        remedy: what to do about it.
    """

    package: str
    code: FindingCode
    what: str
    remedy: str


def find_harm(commands: Iterable[AmplifiedCommand]) -> list[Harm]:
    """Return what several threads break, once for each callable and kind of harm, in the order it was met.

    What was not shown again, or happens in one thread as well, is no harm of threads.
    """
    places: dict[tuple[str, FindingCode], list[tuple[AmplifiedCommand, AmplifiedEvent]]] = {}
    for command in commands:
        for event in command.events:
            if _is_shown(event):
                places.setdefault((event.name, _CODES[event.what]), []).append((command, event))

    harms: list[Harm] = []
    for (_, code), met in places.items():
        command, event = met[0]
        lines = {(other.command, _name_place(at)) for other, at in met}
        harms.append(
            Harm(
                package=event.distribution,
                code=code,
                what=_describe(command, event, others=len(lines) - 1),
                remedy=_choose_remedy(event),
            )
        )

    return harms


def _is_shown(event: AmplifiedEvent) -> bool:
    """Return whether several threads showed an event more than once, and one thread never did."""
    shown, _ = event.shared
    shown_alone, _ = event.alone
    return shown >= _LEAST_SHOWN and shown_alone == 0


def _describe(command: AmplifiedCommand, event: AmplifiedEvent, *, others: int) -> str:
    """Return what an event means, and where the call is made, in a sentence.

    Args:
        command: in which it was met.
        event: what it was.
        others: at how many further places the same was met.
    """
    shown, times = event.shared
    _, times_alone = event.alone
    places = "place" if others == 1 else "places"
    further = f", and at {others} further {places}" if others else ""
    counts = f"seen in {shown} of {times} trials, and in none of {times_alone} with one thread"

    return (
        f"`{command.command}` calls {name_callable(event.name)} ({_name_place(event)}{further}): when several threads "
        f"{_describe_use(event)}, {_describe_outcome(event)}; {counts}"
    )


def _name_place(event: AmplifiedEvent) -> str:
    """Return the line of the application, and that of the package which makes the call where it is another one."""
    line, caller = event.line, event.caller
    if line is None:
        return "by packages alone" if caller is None else f"at {_name_line(caller)}"
    if caller is None or caller == line:
        return f"at {_name_line(line)}"
    return f"at {_name_line(line)}, by way of {_name_line(caller)}"


def _name_line(line: SourceLine) -> str:
    """Return a line of source: `main.py:12 in check`."""
    file = "`-c`" if line.file == "<string>" else line.file
    within = "" if line.function == "<module>" else f" in {line.function}"
    return f"{file}:{line.line}{within}"


def _describe_use(event: AmplifiedEvent) -> str:
    """Return what threads do: `call it on one object at the same time`."""
    if event.kind == "method":
        others = [name_callable(name) for name in event.beside]
        called = f"it, or {join_names(others, _MOST_NAMED)}," if others else "it"
        return f"call {called} on one object at the same time"
    if event.shares:
        return "call it with the same arguments at the same time"
    return "call it at the same time, each with arguments of its own"


def _describe_outcome(event: AmplifiedEvent) -> str:
    if event.what == "crash":
        return f"the process dies ({event.signal})"
    if event.what == "hang":
        return "they never come back"
    shown = f": {event.sentences[0]}" if event.sentences else ""
    return f"they get wrong results{shown}"


def _choose_remedy(event: AmplifiedEvent) -> str:
    """Return what an application can do: it depends on what threads had in common."""
    if event.kind == "method":
        own = "give each thread its own, or hold one lock round every call on it"
        return f"do not share this object between threads: {own}"
    if event.shares:
        return "give each thread arguments of its own, or hold one lock round every such call"
    return "hold one lock of the whole process round every such call, or make it in one thread only"


def describe_trials(commands: Sequence[AmplifiedCommand]) -> str:
    """Return how much of the smoke commands was tried by several threads, and what was not; empty where none ran so."""
    if not commands:
        return ""

    return "; ".join([_describe_reach(commands), *_describe_limits(commands)])


def _describe_reach(commands: Sequence[AmplifiedCommand]) -> str:
    trials = sum(command.trials for command in commands)
    callables = sum(command.callables for command in commands)
    if not callables:
        return "its smoke commands were not seen to call the native API of a package"

    tried = [command for command in commands if command.trials]
    where = f"{len(tried)} of {len(commands)} smoke commands"
    outcome = "what broke is listed" if find_harm(commands) else "nothing broke"
    return f"several threads made {trials} native calls of {where} again: {outcome}"


def _describe_limits(commands: Sequence[AmplifiedCommand]) -> list[str]:
    """Return what was not tried, and why."""
    limits = [
        f"`{command.command}`: {command.unexamined}" for command in commands if command.unexamined
    ]
    counts: dict[str, int] = {}
    for command in commands:
        for reason, count in command.skipped.items():
            counts[reason] = counts.get(reason, 0) + count

    skipped: list[str] = []
    for reason, words in _REASONS.items():
        if counts.get(reason):
            skipped.append(f"{counts[reason]} {words}")
    if skipped:
        limits.append(f"calls that were not tried: {', '.join(skipped)}")

    return limits
