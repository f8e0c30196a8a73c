"""Crashes, hangs and wrong results under threads -> findings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.evidence.events import Variants
from builder.judge.findings import Finding
from builder.judge.levels import MAX_NATIVES, assess_fault, shares_anything, was_shown
from builder.judge.threads.sentences import (
    clean_call,
    count_shown,
    describe_calls,
    describe_counts,
    describe_variants,
    find_natives,
    list_functions,
    name_function,
)
from builder.verdicts.levels import Consequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from builder.evidence.events import Harm, ShownRace
    from builder.verdicts.codes import FindingCode

_HARM_CODES: dict[str, FindingCode] = {"crash": "WF601", "hang": "WF602", "wrong": "WF603"}
_CONSEQUENCES = {
    "crash": Consequence.CRASH,
    "hang": Consequence.HANG,
    "wrong": Consequence.WRONG,
}
_MAX_BLAMED = (
    2  # callables of a harm without a stack that stand for its cause: of more, most are innocent
)
_APART = frozenset({"reentrant", "spoiled"})
"""Kinds of scenarios that hide nothing of what others do, if they end a process of one thread: only their values change
the object at work on it, or only their calls leave it so that others fail."""
_MAX_SENTENCE_CHARS = 300  # a wrong result may be a long text


def judge_harms(
    harms: Iterable[Harm], log: str, *, race: bool = False, unshared: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield findings for crashes, hangs and wrong results under threads.

    A harm that a program showed again may decide the verdict. One that was not shown again does not: a crash, a hang or
    a value that calls never give alone is reported as WF615, and any other wrong result is skipped.

    Args:
        harms: the events.
        log: of the job.
        race: whether their programs need the race detector's interpreter.
        unshared: native callables that threads called while they shared nothing.
    """
    for harm in harms:
        if harm.shown:
            yield _shown_finding(harm, log, race=race, unshared=unshared)
        elif harm.what != "wrong" or harm.garbage:
            # Another number that did not come again may be a clock's or a counter's.
            yield Finding(
                code="WF615",
                detail=_describe_harm(harm) + _quote_wrong(harm),
                where=_name_calls(harm),
                log=log,
                cause=harm.cause,
                functions=_list_harm_functions(harm),
                shares=shares_anything(harm.calls),
            )


def judge_watched_harm(
    harm: Harm, races: Iterable[ShownRace], plain_harms: Iterable[Harm], log: str
) -> Iterator[Finding]:
    """Yield the finding for a crash or a hang of the build for the race detector.

    Where the wheel itself does the same, that counts, and nothing is yielded. It is the package's as well where the
    detector reports a race of it in the same calls. Otherwise only that build is known to have it: code that switches
    stacks, say, does not survive the instrumentation.
    """
    is_of_wheel = any(
        plain.what == harm.what and plain.shown and _have_same_calls(harm, plain)
        for plain in plain_harms
    )
    if is_of_wheel:
        return

    if any(_have_same_calls(harm, race) for race in races):
        yield from judge_harms([harm], log, race=True)
        return

    detail = f"{_describe_harm(harm)}; the detector reported no race in these calls"
    yield Finding(
        code="WF626",
        detail=detail,
        where=harm.what,
        log=log,
        script=harm.script or "",
        race=True,
        shares=shares_anything(harm.calls),
    )


def _have_same_calls(harm: Harm, other: Harm | ShownRace) -> bool:
    """Return whether two events were seen in the same scenario, or in calls of the same native code."""
    if other.scenario == harm.scenario:
        return True
    return other.calls is not None and not set(harm.calls.natives).isdisjoint(other.calls.natives)


def _shown_finding(harm: Harm, log: str, *, race: bool, unshared: Collection[str]) -> Finding:
    """Return the finding for a harm that a program showed again.

    Where the program shows it in one thread as well, threads are not its cause (WF608). But a program that ends before
    threads meet says nothing about them (WF625); one that the sanitizer's build alone ends is not the package as it is.
    """
    variants = harm.arms or Variants()
    happens_alone = was_shown(variants.alone)
    ends_process = harm.what in {"crash", "hang"}
    is_apart = harm.calls.kind in _APART
    hides_threads = happens_alone and ends_process and not race and not is_apart
    code: FindingCode = _HARM_CODES[harm.what]
    if happens_alone:
        code = "WF625" if hides_threads else "WF608"

    detail = _describe_harm(harm)
    if not happens_alone:
        detail += describe_variants(variants)
    detail += _quote_wrong(harm)

    fault = None
    if not happens_alone:
        fault = assess_fault(
            harm.calls,
            variants,
            _CONSEQUENCES[harm.what],
            came_again=count_shown(harm.shown, harm.ran),
            functions=_list_harm_functions(harm),
            unshared=unshared,
        )

    return Finding(
        code=code,
        detail=detail,
        where=_name_calls(harm),
        log=log,
        script=harm.script or "",
        short=harm.short or "",
        race=race,
        cause=harm.cause,
        functions=_list_harm_functions(harm),
        remedy="" if fault is None else fault.remedy,
        calls=describe_calls(harm.calls, list_functions(harm.sides)),
        seen=_describe_seen(harm),
        threads=fault,
    )


def _quote_wrong(harm: Harm) -> str:
    """Return a wrong result that was met, as the end of a sentence; empty where there was none."""
    seen = _describe_seen(harm)
    return f": {seen}" if seen else ""


def _describe_seen(harm: Harm) -> str:
    """Return a wrong result that was met, beside the right one; empty where there was none."""
    return clean_call(harm.sentences[0])[:_MAX_SENTENCE_CHARS] if harm.sentences else ""


def _list_harm_functions(harm: Harm) -> tuple[str, ...]:
    """Return the functions that a harm is about: where it crashed, or what its calls name, if these are few."""
    if harm.sides:
        return list_functions(harm.sides)

    natives = find_natives(harm)
    is_told_apart = harm.what in {"crash", "wrong"} and len(natives) <= _MAX_BLAMED
    return tuple(natives) if is_told_apart else ()


def _name_calls(harm: Harm) -> str:
    """Return what a harm is about, as part of a finding's id: where it crashed, else the native callables it needs.

    Where nothing native is known of it, its calls.
    """
    if harm.sides:
        return " and ".join(list_functions(harm.sides))
    return ", ".join(find_natives(harm)[:MAX_NATIVES]) or describe_calls(harm.calls)


def _describe_harm(harm: Harm) -> str:
    functions = list_functions(harm.sides)
    calls = describe_calls(harm.calls, functions)
    return f"{_describe_end(harm)}threads make {calls}{describe_counts(harm.shown, harm.ran)}"


def _describe_end(harm: Harm) -> str:
    if harm.what == "crash":
        places = " and ".join(name_function(side) for side in harm.sides)
        where = f" in {places}" if places else ""
        return f"{harm.signal or 'the process ends'}{where} when "
    if harm.what == "hang":
        return "no end when "
    return ""
