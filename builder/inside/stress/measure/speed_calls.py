"""Choose the calls whose speed is measured: one of each native callable, evenly spread over the distribution."""

from collections.abc import Iterator
from typing import Any

# How much is measured: docs/decisions/0012-speed-alone.md. A loop of pure Python comes on top.
MEASURED = 8  # calls: a throughput has a least, a median and a greatest
_TRIED = 24  # calls, until so many of them can be measured

Call = dict[str, Any]
"""`make` (the expression of its subject, or None), `text` (the call, in which `s` is the subject) and `native`."""


def choose_calls(surface: dict[str, Any]) -> list[Call]:
    """Return calls to measure, one for each native callable; where there are too many, some that are evenly spread.

    Callables with a public name come first. Attributes are skipped, for they are no calls, and so is what waits for
    other threads on purpose.

    Args:
        surface: what learn.py wrote.
    """
    best: dict[str, tuple[tuple[bool, bool, bool], Call]] = {}
    for make, operation in _iter_operations(surface):
        text = operation["text"]
        is_call = "(" in text
        waits = "values." in text  # on purpose, for other threads
        if not is_call or waits:
            continue

        for native in operation["native"]:
            # The lowest rank wins: a public name, no Python code between, and an object that stays as it is.
            rank = (_is_special(native), not operation["direct"], operation["changes"])
            if native not in best or rank < best[native][0]:
                best[native] = (rank, {"make": make, "text": text, "native": native})

    public: list[Call] = []
    special: list[Call] = []
    for native, (_, call) in sorted(best.items(), key=lambda item: item[0]):
        if _is_special(native):
            special.append(call)
        else:
            public.append(call)

    # One call may be the best of several callables.
    distinct: dict[tuple[str | None, str], Call] = {}
    for call in _spread(public) + _spread(special):
        distinct[call["make"], call["text"]] = call

    return list(distinct.values())[:_TRIED]


def _spread(calls: list[Call]) -> list[Call]:
    """Return some calls, evenly chosen, in an order in which the first ones are evenly spread over all of them.

    With 24 calls and 8 that are measured: 0, 3, 6, ... 21, then 1, 4, ... 22, then 2, 5, ... 23. Measuring may end
    after any of them.
    """
    count = min(len(calls), _TRIED)
    step = max(1.0, len(calls) / _TRIED)
    chosen = [calls[int(index * step)] for index in range(count)]

    stride = max(1, -(-len(chosen) // MEASURED))  # rounded up
    spread: list[Call] = []
    for offset in range(stride):
        spread += chosen[offset::stride]

    return spread


def _iter_operations(surface: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give the operations that were learnt, each with what makes its subject: None for a function.

    Operations with a shared argument are skipped: here each thread works on objects of its own.
    """
    for function in surface["functions"]:
        for operation in function["operations"]:
            if "argument" not in operation:
                yield None, operation
    for subject in surface["subjects"]:
        for operation in subject["operations"]:
            yield subject["make"], operation


def _is_special(native: str) -> bool:
    """Return whether a callable's own name begins as those of special methods do."""
    return native.rpartition(".")[2].startswith("__")
