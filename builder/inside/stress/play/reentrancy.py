"""Plan that the arguments of a call change the object that the call is at work on."""

import ast
from collections.abc import Iterator, Sequence

from ..calls.learnt import Operation, Subject
from .scenario import Scenario, list_unshared, make_scenario

_MOST_REENTRANT = 14  # calls of a type: each is played twice
_MOST_FILLING = 3  # other calls that go before each
_ITERATIONS = 60  # what a call changes in its middle shows at once, or not at all


def plan_reentrant(subjects: Sequence[Subject]) -> Iterator[Scenario]:
    """Plan that a call's arguments change the subject while the call is at work on it, in one thread and in several.

    `s.put('ab')`, `s.clear()` -> `s.put(values.Reentrant('ab', s, lambda s: s.clear()))`.
    """
    planned: set[str] = set()
    for number, subject in enumerate(subjects):
        operations = list_unshared(subject)
        changing = [operation for operation in operations if operation["changes"]]
        if subject["type"] in planned or not changing:
            continue

        planned.add(subject["type"])
        process = f"reentrant-{number}"
        calls: list[Operation] = []
        for operation in operations:
            for change in _choose_changes(operation, changing):
                calls += _make_reentrant(operation, change)
        # What is empty has nothing to compare with: it is filled between the calls, which may have emptied it.
        filling = _choose_filling(changing)
        for call in calls[:_MOST_REENTRANT]:
            for threads in (1, None):
                rows = [[*filling, call]]
                scenario = make_scenario("reentrant", process, rows, make=subject["make"])
                scenario["iterations"] = min(scenario["iterations"], _ITERATIONS)
                yield scenario if threads is None else {**scenario, "threads": threads}


def _choose_filling(changing: Sequence[Operation]) -> list[Operation]:
    """Return operations that may fill an object: one of each name that is given anything."""
    by_name: dict[str, Operation] = {}
    for operation in changing:
        if _find_literals(operation["text"]):
            by_name.setdefault(operation["text"].partition("(")[0], operation)

    return list(by_name.values())[:_MOST_FILLING]


def _choose_changes(operation: Operation, changing: Sequence[Operation]) -> list[Operation]:
    """Return changes to make in the middle of an operation: one without arguments, and another operation."""
    bare = [change for change in changing if change["text"].endswith("()")]
    others = [change for change in changing if change["text"] != operation["text"]]
    return [*bare[:2], *others[:1]] if bare else others[:2]


def _make_reentrant(operation: Operation, change: Operation) -> list[Operation]:
    """Return variants of an operation in each of which one argument makes a change to the subject."""
    step = f"lambda s: {change['text']}"
    made: list[Operation] = []
    for start, end, node in _find_literals(operation["text"]):
        text = operation["text"]
        literal = text[start:end]
        is_container = isinstance(node, (ast.List, ast.Dict, ast.Set)) or literal.startswith("b")
        value = f"values.Reentrant({literal}, s, {step})"
        if is_container:
            value = f"values.ReentrantItems(s, {step})"
        made.append({**operation, "text": f"{text[:start]}{value}{text[end:]}"})

    return made


def _find_literals(text: str) -> list[tuple[int, int, ast.expr]]:
    """Return where an operation's own arguments are literals, containers or the harness's callback."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return []
    if not isinstance(tree, ast.Call) or not text.isascii():
        return []

    found: list[tuple[int, int, ast.expr]] = []
    for node in tree.args:
        is_literal = isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set))
        is_callback = isinstance(node, ast.Lambda)
        is_name = "getattr" in text.partition("(")[0]
        if is_name or not (is_literal or is_callback) or node.end_col_offset is None:
            continue
        start, end = node.col_offset, node.end_col_offset
        if is_callback and text[start - 1 : start] == "(" and text[end : end + 1] == ")":
            # The callback's own parentheses stay around what takes its place.
            found.append((start, end, ast.Constant(value=1)))
            continue
        found.append((start, end, node))

    return found
