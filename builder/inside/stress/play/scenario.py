"""What threads do at the same time: a scenario, and what it is made of."""

import itertools
from collections.abc import Sequence
from typing import Any

from ..calls.learnt import Function, Operation, Subject

Scenario = dict[str, Any]
"""`id`, `kind`, `process` (scenarios of one process follow one another in it), `make` and `argument` (expressions, or
None), `natives` (native callables it reaches), `rows` (calls by kind of thread: text and result alone), `observe`,
`sharing`, `iterations`, `threads`; and `once` where it can be played only once in a process."""

REPEATED = "+"
"""Stands in the id of a scenario that is played again between that of the first and how often it was played before."""

# A thread makes its calls over and over for about this long: threads that begin together overlap for most of it.
_WINDOW_US = 3000
_STOPPING_US = 250.0  # of a call for which all threads have to stop: far longer than it takes alone
_FEWEST_ITERATIONS = 12  # of calls that take long
_MOST_ITERATIONS = 600  # of short calls: below 5 us a call is too short to be measured well


def count_calls(scenario: Scenario) -> int:
    """Return how many calls a scenario has."""
    return sum(len(row) for row in scenario["rows"])


def make_scenario(
    kind: str,
    process: str,
    rows: Sequence[Sequence[Operation]],
    *,
    make: str | None = None,
    argument: str | None = None,
    observe: Sequence[str] = (),
    sharing: str = "shared",
    answers: bool = False,
) -> Scenario:
    """Return a scenario without its id and its number of threads.

    Calls that take long are made less often, so that all scenarios take about the same time.

    Args:
        kind: what it is about, such as `pair`.
        process: the name of the process it runs in, which scenarios may share.
        rows: the operations, one row for each kind of thread.
        make: an expression that makes the subject; None where there is none.
        argument: an expression that makes the argument that threads share; None where there is none.
        observe: expressions that show the subject's state.
        sharing: what the threads share, as harness.py knows it.
        answers: whether results are compared with those of the same call alone.
    """
    operations = flatten(rows)
    mean_us = sum(map(_estimate_us, operations)) / max(1, len(operations))
    iterations = int(_WINDOW_US / max(1.0, mean_us))

    return {
        "kind": kind,
        "process": process,
        "make": make,
        "argument": argument,
        "observe": list(observe),
        "sharing": sharing,
        "iterations": max(_FEWEST_ITERATIONS, min(_MOST_ITERATIONS, iterations)),
        "natives": sorted(collect_natives(operations)),
        "rows": [_write_row(row, answers=answers) for row in rows],
    }


def _estimate_us(operation: Operation) -> float:
    """Return how long a call takes beside those of other threads, in microseconds."""
    return max(operation["us"], _STOPPING_US) if _stops_all(operation) else operation["us"]


def _stops_all(operation: Operation) -> bool:
    """Return whether all threads have to stop for a call."""
    return "gc.get_referents(" in operation["text"]


def list_running(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations for which no other thread has to stop: what stops all orders what they do.

    Where there is no other operation, all.
    """
    running = [operation for operation in operations if not _stops_all(operation)]
    return running or list(operations)


def _write_row(row: Sequence[Operation], *, answers: bool) -> list[list[str | None]]:
    """Return the calls of a row, each as (text, result alone); the result is None where answers are not compared."""
    calls: list[list[str | None]] = []
    for operation in row:
        result = operation["result"] if answers else None
        calls.append([operation["text"], result])

    return calls


def make_call(text: str, us: float = 1.0) -> Operation:
    """Return an operation that the plan itself needs, such as `gc.collect(0)`, and that learn.py did not find.

    Args:
        text: the expression.
        us: about how long it takes, in microseconds.
    """
    return {
        "text": text,
        "native": [],
        "direct": False,
        "result": None,
        "changes": False,
        "us": us,
    }


def apply_to(operation: Operation, subject: str) -> Operation:
    """Return an operation that works on what an expression gives, instead of on `s`.

    `len(s)` on `s[0]` -> `(lambda s: len(s))(s[0])`.
    """
    return {**operation, "text": f"(lambda s: {operation['text']})({subject})"}


def flatten(rows: Sequence[Sequence[Operation]]) -> list[Operation]:
    """Return the operations of all rows as one list."""
    return list(itertools.chain.from_iterable(rows))


def collect_natives(operations: Sequence[Operation]) -> set[str]:
    """Return the native callables that operations reach."""
    natives: set[str] = set()
    for operation in operations:
        natives.update(operation["native"])

    return natives


def list_without_argument(function: Function) -> list[Operation]:
    """Return the operations of a function that share no argument."""
    return [operation for operation in function["operations"] if "argument" not in operation]


def list_unshared(subject: Subject) -> list[Operation]:
    """Return the operations on a subject that share no argument."""
    return [operation for operation in subject["operations"] if "argument" not in operation]
