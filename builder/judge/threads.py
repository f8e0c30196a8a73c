"""Race and exercise facts -> findings, and how much they prove. Pure.

Why each of them forces the verdict it does, or none: docs/decisions/0009-what-threads-show.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from builder.finding_codes import FindingCode
from builder.judge.findings import Finding

if TYPE_CHECKING:
    from builder.store.evidence import Evidence

Facts = Mapping[str, Any]

MIN_COVERAGE = 0.5
"""Share of the native callables that must have been called by threads for `compatible`."""

_HARM_CODES: dict[str, FindingCode] = {"crash": "WF601", "hang": "WF602", "wrong": "WF603"}
_MAX_CALLS = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadCoverage:
    """How much native code was put under threads.

    Attributes:
        callables: native callables there are.
        alone: those that could be called at all.
        under_threads: those that threads called, with the race detector watching.
        pairs: pairs of operations that threads tried on one object.
        side_by_side: calls that each thread made beside the others' in such a trial.
        detector: whether the race detector watched and had proven itself.
    """

    callables: int = 0
    alone: int = 0
    under_threads: int = 0
    pairs: int = 0
    side_by_side: int = 0
    detector: bool = False

    @property
    def is_sufficient(self) -> bool:
        """Whether finding nothing means something."""
        return (
            self.detector
            and self.callables > 0
            and self.under_threads >= MIN_COVERAGE * self.callables
        )

    def miss_probability(self, rarity: int) -> float:
        """Return how likely one trial misses a race that shows in one of so many calls side by side."""
        return float((1 - 1 / rarity) ** self.side_by_side)


def measure_coverage(race: Evidence | None, exercise: Evidence | None) -> ThreadCoverage:
    """Say how much was put under threads, by the evidence there is."""
    facts = race.facts if race is not None and race.is_determined else {}
    surface = facts.get("surface")
    if not surface:
        return ThreadCoverage()
    done = (
        exercise is not None
        and exercise.is_determined
        and exercise.facts.get("install", "none") is None
    )
    under = set(facts.get("under_threads", ())) & set(surface["callables"])
    proven = all(facts["preflight"].values())
    callables = set(surface["callables"])
    return ThreadCoverage(
        callables=len(callables),
        alone=len(callables & set(surface["reached"])),
        under_threads=len(under),
        pairs=facts["pairs"],
        side_by_side=facts["side_by_side"],
        detector=proven and done,
    )


def deduplicate(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Give one finding of each code and place, one with a program where there is one: an id stands for one finding."""
    found: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.where)
        if key not in found or (finding.script and not found[key].script):
            found[key] = finding
    yield from found.values()


def race_findings(facts: Facts, log: str) -> Iterator[Finding]:
    """Judge what the race detector saw."""
    if facts.get("wheel") is None:
        return
    if facts["failure"] is not None:
        yield Finding(
            code="WF610",
            detail=f"it does not compile with ThreadSanitizer: {facts['failure']}",
            log=log,
        )
        return
    preflight = facts["preflight"]
    if not preflight["racy_seen"] or not preflight["clean_silent"]:
        missed = (
            "did not see a race that is there"
            if not preflight["racy_seen"]
            else "saw a race where there is none"
        )
        yield Finding(code="WF609", detail=f"the detector {missed}", where="canary", log=log)
        return
    if facts["install"] is not None:
        yield Finding(
            code="WF610",
            detail=f"it could not be installed to be examined: {facts['install']}",
            log=log,
        )
        return
    if facts["surface"] is None:
        yield Finding(
            code="WF611", detail="calling it alone ended every attempt to learn how", log=log
        )
        return
    yield from _judge_coverage(facts, log)
    for event in facts["races"][:_MAX_CALLS]:
        yield _ignore_if_gil(_race_finding(event, log), facts)
    for event in facts["harms"][:_MAX_CALLS]:
        for finding in _judge_harm(event, log, race=True):
            yield _ignore_if_gil(finding, facts)
    for event in facts["advisory"][:_MAX_CALLS]:
        code: FindingCode = "WF607" if event.get("lock_free") else "WF606"
        where = " and ".join(event["places"])
        yield Finding(
            code=code, detail=f"{event['kind']}: {', '.join(event['lines'])}", where=where, log=log
        )


def _ignore_if_gil(finding: Finding, facts: Facts) -> Finding:
    """Let a finding decide nothing where the package had turned the GIL on: then it is none of free threading."""
    return (
        replace(finding, advisory=True, detail=f"with the GIL on: {finding.detail}")
        if facts.get("gil")
        else finding
    )


def exercise_findings(facts: Facts, log: str) -> Iterator[Finding]:
    """Judge what threads did to a package with the plain interpreter."""
    if facts.get("wheel") is None or facts.get("install") is not None:
        return
    for event in facts["harms"][:_MAX_CALLS]:
        for finding in _judge_harm(event, log, race=False):
            yield _ignore_if_gil(finding, facts)
    yield from _judge_own_tests(facts.get("own_tests"), log)


def _judge_coverage(facts: Facts, log: str) -> Iterator[Finding]:
    callables = set(facts["surface"]["callables"])
    missed = sorted(callables - set(facts["under_threads"]))
    if len(callables) - len(missed) < MIN_COVERAGE * len(callables):
        named = ", ".join(missed[:6]) + (f" and {len(missed) - 6} more" if len(missed) > 6 else "")  # noqa: PLR2004
        detail = f"threads called {len(callables) - len(missed)} of {len(callables)} native callables; not {named}"
        yield Finding(code="WF611", detail=detail, where="surface", log=log)


def _race_finding(event: Facts, log: str) -> Finding:
    detail = f"{', '.join(event['lines'])}, when threads make {_format_calls(event)}{_describe_counts(event)}"
    code: FindingCode = "WF604" if event["freed"] else "WF605"
    where = " and ".join(event["places"])
    return Finding(
        code=code, detail=detail, where=where, log=log, script=event.get("script", ""), race=True
    )


def _judge_harm(event: Facts, log: str, *, race: bool) -> Iterator[Finding]:
    """Judge a crash, a hang or wrong results: what was never shown again decides nothing."""
    what = event["what"]
    where = ", ".join(event["calls"]["natives"][:4]) or _format_calls(event)
    how = {
        "crash": f"{event.get('signal') or 'the process ends'} when ",
        "hang": "no end when ",
    }.get(what, "")
    detail = f"{how}threads make {_format_calls(event)}{_describe_counts(event)}"
    if not event.get("shown"):
        if what != "wrong":
            yield Finding(code="WF615", detail=detail, where=where, log=log)
        return
    arms = event.get("arms", {})
    alone = arms.get("alone", [0, 0])[0] > 0
    code = "WF608" if alone else _HARM_CODES[what]
    if not alone and arms.get("gil", [0, 0])[0] > 0:
        detail += "; it happens with the GIL on too"
    if not alone and arms.get("private", [0, 0])[0] > 0:
        detail += "; it happens with an object for each thread too: what they share is the module's"
    if sentences := event.get("sentences"):
        detail += f": {sentences[0][:300]}"
    yield Finding(
        code=code, detail=detail, where=where, log=log, script=event.get("script", ""), race=race
    )


def _judge_own_tests(facts: Facts | None, log: str) -> Iterator[Finding]:
    if facts is None:
        return
    if not facts["ran"]:
        yield Finding(code="WF614", detail=facts["why"], where="tests", log=log)
        return
    if facts["crash"]:
        yield Finding(
            code="WF613",
            detail=f"{facts['crash']} with {facts['threads']} threads",
            where="tests",
            log=log,
        )
    if facts["single"]:
        named = "; ".join(
            f"{name}: {reason}" for name, reason in list(facts["single"].items())[:_MAX_CALLS]
        )
        count, total = (
            len(facts["single"]),
            facts["parallel"]["passed"] + facts["parallel"]["failed"],
        )
        yield Finding(
            code="WF616", detail=f"{count} of {total} own tests: {named}", where="tests", log=log
        )
    for name, message in list(facts["findings"].items())[:_MAX_CALLS]:
        yield Finding(code="WF612", detail=message, where=name, log=log)


def _format_calls(event: Facts) -> str:
    """Show the calls of an event, a few of them."""
    if event["calls"] is None:
        return "calls of the package's own tests"
    texts = list(dict.fromkeys(text for row in event["calls"]["rows"] for text, _ in row))
    shown = ", ".join(f"`{text}`" for text in texts[:3])
    made = f" of `{event['calls']['make'][:80]}`" if event["calls"]["make"] else ""
    return shown + (f" and {len(texts) - 3} more calls" if len(texts) > 3 else "") + made  # noqa: PLR2004


def _describe_counts(event: Facts) -> str:
    return f" (shown again {event['shown']} of {event['ran']} times)" if event.get("shown") else ""
