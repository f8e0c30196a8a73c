"""Which two operations on one object are worth making at the same time."""

import ast
import functools
import itertools
import random
from collections.abc import Sequence

from . import values
from .learnt import Operation

Pair = tuple[Operation, Operation]

NativePair = tuple[str, ...]
"""The native callables of a pair's two operations, with `and` between them."""

_NAME_LENGTH = 24
"""How much of an expression names it that is no method: enough for `operator.getitem(s, ` and the like."""


def choose_pairs(
    operations: Sequence[Operation], chance: random.Random, met: set[NativePair]
) -> list[Pair]:
    """Return pairs of operations, those that change their subject first; an operation may meet itself.

    Args:
        operations: of one subject.
        chance: for what has no natural order.
        met: native callables that have met on another subject: they need not meet again. Those of this one are added.
    """
    variants = _group_variants(operations)
    couples = [(listed[0], listed[0]) for listed in variants]
    couples += [_choose_variants(*both) for both in itertools.combinations(variants, 2)]
    chance.shuffle(couples)
    couples.sort(key=_count_changing, reverse=True)

    chosen: list[Pair] = []
    for couple in couples:
        native_pair = (*couple[0]["native"], "and", *couple[1]["native"])
        reaches_native = len(native_pair) > 1
        if not (reaches_native and native_pair in met):
            chosen.append(couple)
        met.add(native_pair)

    return chosen


def _group_variants(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Return operations by what they call: calls of one method differ in their arguments alone."""
    # What replaces an object is seen to free it only where the object is not a constant: it comes first.
    ranked = sorted(operations, key=_changes_with_new_object, reverse=True)
    variants: dict[str, list[Operation]] = {}
    for operation in ranked:
        text = operation["text"]
        is_on_subject = text.startswith("s.")
        name = text.partition("(")[0] if is_on_subject else text[:_NAME_LENGTH]
        variants.setdefault(name, []).append(operation)

    return list(variants.values())


def _changes_with_new_object(operation: Operation) -> bool:
    return operation["changes"] and any(part in operation["text"] for part in values.FRESH)


def _count_changing(couple: Pair) -> int:
    return sum(operation["changes"] for operation in couple)


def _choose_variants(left: Sequence[Operation], right: Sequence[Operation]) -> Pair:
    """Choose a variant of each of two operations that begin with the same argument, such as a key.

    Where there are several, the one with the most new objects: those can be freed. Where there is none, the first
    of each.
    """
    alike: list[Pair] = []
    for one, other in itertools.product(left, right):
        argument = _find_first_argument(one["text"])
        if argument and argument == _find_first_argument(other["text"]):
            alike.append((one, other))

    return max(alike, key=_count_new_objects, default=(left[0], right[0]))


def _count_new_objects(couple: Pair) -> int:
    """Return how many objects two operations make anew."""
    return sum(
        couple[0]["text"].count(part) + couple[1]["text"].count(part) for part in values.FRESH
    )


@functools.cache
def _find_first_argument(text: str) -> str:
    """Return the first argument of an operation on `s` besides `s`, or what it is indexed with; empty without one."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""

    if isinstance(tree, ast.Subscript):
        return ast.unparse(tree.slice)
    if not isinstance(tree, ast.Call):
        return ""

    for node in tree.args:
        argument = ast.unparse(node)
        if argument != "s":
            return argument

    return ""
