"""Plans that threads use two objects of a type with each other, in both directions at the same time."""

import ast
from collections.abc import Iterator, Sequence

from ..calls.learnt import Operation, Subject
from .scenario import Scenario, make_scenario

_MOST_CROSSED = 4  # scenarios with two subjects of a type


def plan_crossed(subject: Subject, subjects: Sequence[Subject]) -> Iterator[Scenario]:
    """Plan that threads use two subjects of a type with each other, in both directions at the same time.

    `s.update(o)` and `o.update(s)`: code that locks both must always lock them in the same order. Nothing is planned
    where no operation takes an object of the subject's own type.

    Args:
        subject: the subject.
        subjects: all that there are: how objects of its type are made.
    """
    makes = [other["make"] for other in subjects if other["type"] == subject["type"]]
    makers = {name_maker(_parse(make)) for make in makes} - {""}
    make = f"({subject['make']}, {subject['make']})"
    planned = 0
    for operation in subject["operations"]:
        text = name_other(operation["text"], makes, makers)
        if text is None or planned == _MOST_CROSSED:
            continue

        planned += 1
        forwards: Operation = {**operation, "text": f"(lambda s, o: {text})(s[0], s[1])"}
        backwards: Operation = {**operation, "text": f"(lambda s, o: {text})(s[1], s[0])"}
        yield make_scenario("crossed", f"crossed-{make}", [[forwards], [backwards]], make=make)


def name_other(text: str, makes: Sequence[str], makers: set[str]) -> str | None:
    """Return an operation with `o` in the place of the objects in it that are made as its subject is; None without any.

    `s.merge(pkg.Box(1), 2)` -> `s.merge(o, 2)`.

    Args:
        text: the operation.
        makes: expressions that make objects of the subject's type.
        makers: what these call, as `name_maker` has it.
    """
    segments = [make for make in makes if make in text]
    for node in ast.walk(_parse(text)):
        if name_maker(node) in makers:
            segments.append(ast.get_source_segment(text, node) or "")
    if not any(segments):
        return None

    # The longest is the whole of what others are parts of.
    return text.replace(max(segments, key=len), "o")


def name_maker(node: ast.AST) -> str:
    """Return what an expression calls to make an object: a dotted name; empty for what is no such call.

    What was done to the object before it is used is left out: `values.after(pkg.Box(1), …)` -> `pkg.Box`.
    """
    if not isinstance(node, ast.Call):
        return ""

    name = ast.unparse(node.func)
    if name == "values.after" and node.args:
        return name_maker(node.args[0])
    return name


def _parse(text: str) -> ast.AST:
    """Return the tree of an expression; one without nodes where it is none."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])
