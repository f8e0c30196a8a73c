"""Amplify what a distribution's own tests, examples and documents do, and take in what was seen.

amplified_tests.py runs them, and forks at native calls; here its processes are started and their records read.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ...supervise.records import Records, make_token
from ...supervise.work_clock import CLOCK
from ..play.events import Event
from ..play.scenarios import Scenario
from ..process.interpreter import Interpreter
from ..sanitizer import reports
from ..sanitizer.causes import ReportJudge
from ..sanitizer.native_names import NativeNames
from .selection import Part, read_part
from .stage import Stage

_STARTING_S = 20.0  # to import pytest and the package, beside running anything; a sanitizer takes ten times as long
_RACE_STARTING_S = 60.0
_POLL_S = 0.1
_CHILD_S = 2.0  # for one child
_RACE_CHILD_S = 6.0
_FORK_SHARE = 0.75  # of the time, for children: the tests need the rest
_OUTPUT_BYTES = 2 << 20
_LONGEST_TEXT = 2000  # of an expression that a package's process wrote
_MOST_RECORDS = 8000
_STACK_LINES = 80
_KEPT_SENTENCES = 3
_MOST_RECORDED = 400  # callables and types

_PYTEST_OPTIONS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:debugging",  # it imports pdb, and asyncio with it: under a sanitizer, a quarter of the time to start
    "-p",
    "no:faulthandler",
    "-p",
    "no:run-parallel",
    "-p",
    "no:unraisableexception",
    "-p",
    "no:threadexception",
    "--assert=plain",
    "--capture=sys",
    "--no-header",
    "--no-summary",
    "--tb=no",
    "-o",
    "addopts=",
    "-o",
    "filterwarnings=",
    "--maxfail=200",
    "--continue-on-collection-errors",
)


@dataclass(slots=True)
class Amplified:
    """What came of it.

    Attributes:
        events: as player.py has them.
        scenarios: of the trials, by id.
        returned: native callables that returned in several threads, on one object or without any.
        trials: how many there were.
        pairs: pairs of callables that were tried on one object.
        calls: how often the tests called each native callable.
        arguments: argument lists by called name.
        makes: expressions that make objects.
        seconds: how long it took.
        errors: exceptions in the trials, by text.
        parts: which tests and documents called native code.
        ran: files of tests that were run to their end.
    """

    events: list[Event] = field(default_factory=list)
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    trials: int = 0
    pairs: set[tuple[str, str]] = field(default_factory=set)
    calls: dict[str, int] = field(default_factory=dict)
    arguments: dict[str, list[str]] = field(default_factory=dict)
    makes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)

    def describe(self) -> dict[str, Any]:
        """Return the facts of it."""
        return {
            "trials": self.trials,
            "callables": len(self.calls),
            "returned": len(self.returned),
            "pairs": len(self.pairs),
            "seconds": round(self.seconds, 1),
        }


def amplify(  # noqa: PLR0913 - what a run differs in
    stage: Stage,
    interpreter: Interpreter,
    modules: Sequence[str],
    native: set[str],
    *,
    after: Sequence[str],
    threads: int,
    seconds: float,
    forks: bool,
    deselect: Iterable[str] = (),
    selection: dict[str, Any] | None = None,
    runs_rest: bool = False,
) -> Amplified:
    """Run tests and examples, and try what they call in forked children.

    Args:
        stage: what to run.
        interpreter: what runs it.
        modules: import names of the distribution's modules.
        native: file names of its extension modules.
        after: modules to import before them.
        threads: of each child.
        seconds: for all of it, beside starting.
        forks: whether to fork; else it is only recorded how native code is called.
        deselect: tests that are left out.
        selection: which tests and documents to run, as JSON data (see selection.py); None for all.
        runs_rest: whether files of tests that were not run to their end before follow.
    """
    began = time.monotonic()
    mark = make_token()
    request = {
        "modules": list(modules),
        "after": list(after),
        "site": interpreter.site,
        "paths": [str(stage.tools)],
        "sdist": stage.sdist,
        "tests": None if stage.tests is None else str(stage.tests),
        "arguments": [*_PYTEST_OPTIONS, *(f"--deselect={test}" for test in deselect)],
        "has_pytest": stage.has_pytest,
        "selection": selection,
        "runs_rest": runs_rest,
        "seconds": CLOCK.stretch(seconds),
        "fork_s": CLOCK.stretch(_FORK_SHARE * seconds) if forks else 0.0,
        "child_s": CLOCK.stretch(_RACE_CHILD_S if interpreter.race else _CHILD_S),
        "threads": threads,
        "is_race": interpreter.race,
        "mark": mark,
    }
    output = Output(0, _OUTPUT_BYTES)
    errors = Output(reports.MOST_BYTES, _OUTPUT_BYTES)
    starting_s = _RACE_STARTING_S if interpreter.race else _STARTING_S
    with PackageProcess(
        interpreter.program("own_tests.amplified_tests"),
        account=stage.account,
        environment=interpreter.program_environment(str(stage.home)),
        folder=str(stage.tests or stage.home),
        output=output,
        errors=errors,
        request=request,
    ) as process:
        _await_end(process, starting_s, 1.5 * seconds)
        process.end()

    amplified = read_records(process.records, errors.read_text(), mark, interpreter, native)
    amplified.seconds = time.monotonic() - began
    print(output.read_text()[-2000:], flush=True)
    print(f"own tests amplified: {amplified.describe()}", flush=True)
    return amplified


def _await_end(process: PackageProcess, starting_s: float, seconds: float) -> None:
    """Wait for a process of amplified_tests.py to end, but no longer than it may take to start, and then to run."""
    began = CLOCK.now()
    limit = starting_s
    has_begun = False
    while not process.wait(_POLL_S) and CLOCK.now() - began < limit:
        if not has_begun and any("begun" in record for record in process.records.items):
            has_begun = True
            limit = CLOCK.now() - began + seconds


def read_records(
    records: Records, printed: str, mark: str, interpreter: Interpreter, native: set[str]
) -> Amplified:
    """Return what the records of amplified_tests.py, and what came through standard error, tell.

    Args:
        records: of one process.
        printed: what came through standard error.
        mark: what stands there before and after what a trial wrote.
        interpreter: what ran it.
        native: file names of the distribution's extension modules.
    """
    amplified = Amplified()
    written = split_by_trials(printed, mark)
    files = [record["file"] for record in records.items if isinstance(record.get("file"), dict)]
    judge = ReportJudge(native, NativeNames(files), interpreter.unwatched, interpreter.stores)
    for record in records.items[:_MOST_RECORDS]:
        if isinstance(record.get("recorded"), dict):
            _take_recorded(record["recorded"], amplified)
        elif isinstance(record.get("trial"), int):
            text = written.get(record["trial"], "")
            _take_trial(record, text, amplified, judge, is_race=interpreter.race)
        elif isinstance(record.get("ran"), str):
            amplified.ran.add(record["ran"][:_LONGEST_TEXT])
        elif (part := read_part(record.get("part"))) is not None:
            amplified.parts.append(part)

    return amplified


def split_by_trials(printed: str, mark: str) -> dict[int, str]:
    """Return what each trial wrote to standard error, by its number."""
    pattern = rf"^{mark} (\d+) <\n(.*?)^{mark} \1 >$"
    found = re.findall(pattern, printed, re.MULTILINE | re.DOTALL)
    return {int(number): text for number, text in found}


def _take_recorded(recorded: dict[str, Any], amplified: Amplified) -> None:
    """Take in how native code was called; what has another form than recording.py gives it is left out."""
    amplified.calls = {
        str(name): count
        for name, count in _items(recorded.get("calls"))
        if isinstance(count, int) and name
    }
    amplified.arguments = {
        str(name): [text for text in texts if isinstance(text, str)]
        for name, texts in _items(recorded.get("arguments"))
        if isinstance(texts, list)
    }
    makes: list[str] = []
    for _, texts in _items(recorded.get("makes")):
        makes += [text for text in texts if isinstance(text, str) and len(text) <= _LONGEST_TEXT]
    amplified.makes = makes


def _items(value: object) -> list[tuple[str, Any]]:
    return list(value.items())[:_MOST_RECORDED] if isinstance(value, dict) else []


def _take_trial(
    record: dict[str, Any],
    written: str,
    amplified: Amplified,
    judge: ReportJudge,
    *,
    is_race: bool,
) -> None:
    """Take in what came of one trial, and what it wrote; with `is_race`, a sanitizer wrote reports there."""
    scenario = make_scenario(record)
    scenario_id = scenario["id"]
    amplified.scenarios[scenario_id] = scenario
    amplified.trials += 1
    status = record["status"]
    names: dict[str, str] = record["names"]
    if status == "ok":
        returned = {names[text] for text in record["returned"] or () if text in names}
        amplified.returned |= returned
        if record["kind"] == "method":
            amplified.pairs |= _list_pairs(record, names, returned)
        for text, count in (record["errors"] or {}).items():
            amplified.errors[text] = amplified.errors.get(text, 0) + count

    stack = "\n".join(written.splitlines()[:_STACK_LINES])
    arms = record.get("arms") or {}
    proof = {"arms": arms, "shown": arms["shared"][0], "ran": arms["shared"][1]} if arms else {}
    if status == "crash":
        amplified.events.append(
            {
                "what": "crash",
                "scenario": scenario_id,
                "signal": record["signal"],
                "stack": stack,
                "sides": judge.describe_crash(stack),
                **proof,
            }
        )
    elif status == "hang" and not _was_shown(arms, "alone"):
        # What waits in one thread as well waits by design: for what the test would have done next.
        amplified.events.append(
            {
                "what": "hang",
                "scenario": scenario_id,
                "idle": record["idle"],
                "stack": stack,
                **proof,
            }
        )
    elif record.get("wrong"):
        sentences = record["wrong"][:_KEPT_SENTENCES]
        amplified.events.append(
            {"what": "wrong", "scenario": scenario_id, "sentences": sentences, **proof}
        )

    if is_race:
        for report in judge.read(written):
            event = {"what": "race", "scenario": scenario_id, **judge.judge(report)}
            amplified.events.append(event)


def _was_shown(arms: dict[str, list[int]], name: str) -> bool:
    return arms.get(name, [0, 0])[0] > 0


def _list_pairs(
    record: dict[str, Any], names: dict[str, str], returned: set[str]
) -> set[tuple[str, str]]:
    """Return the pairs of callables that a trial made at the same time on one object, and that both returned."""
    first = names.get(record["rows"][0][0], "")
    pairs: set[tuple[str, str]] = set()
    for row in record["rows"]:
        for text in row:
            other = names.get(text, "")
            if first in returned and other in returned:
                pairs.add((min(first, other), max(first, other)))

    return pairs


def make_scenario(record: dict[str, Any]) -> Scenario:
    """Return a trial as a scenario. One of the kind `live` names objects that no expression can make.

    Args:
        record: what amplifier.py said of a trial.
    """
    is_expressible = record["expressible"]
    rows = [[[text, None] for text in row] for row in record["rows"]]
    kind = "amplified" if is_expressible else "live"
    make = record["make"]
    argument = None
    if not is_expressible and record["kind"] == "method":
        make = make or "the object of this test"
    elif not is_expressible and record["shares"] is not False:
        argument = "the arguments of this test"

    return {
        "id": f"amplified-{record['trial']}",
        "kind": kind,
        "process": f"amplified-{record['trial']}",
        "make": make,
        "argument": argument,
        "rows": rows,
        "observe": [],
        "sharing": "shared" if record["kind"] == "method" else "fresh",
        "iterations": record["iterations"] or 1,
        "threads": record["threads"],
        "natives": sorted({name for name in record["names"].values() if name}),
        "source": record["source"],
    }
