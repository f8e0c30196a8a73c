"""Which two operations on one object are worth making at the same time."""

import ast
import functools
import itertools
import random
from collections.abc import Sequence

from ..calls import values
from ..calls.learnt import Operation

Pair = tuple[Operation, Operation]

NativePair = tuple[str, ...]
"""The native callables of a pair's two operations, with `and` between them."""

_NAME_LENGTH = 24
"""How much of an expression names it that is no method: enough for `operator.getitem(s, ` and the like."""


def choose_pairs(
    operations: Sequence[Operation], chance: random.Random, met: set[NativePair]
) -> list[Pair]:
    """Return pairs of operations on one object that are worth making at the same time.

    Pairs that change the object come first. An operation may be paired with itself. A pair is skipped if the same
    native callables were paired before, on this or another object.

    Args:
        operations: what can be done with the object.
        chance: gives pairs that are otherwise equal a random order.
        met: native callables that were paired so far; those of the pairs of this object are added.
    """
    variants = _group_variants(operations)
    candidates = [(group[0], group[0]) for group in variants]
    candidates += [_choose_variants(*both) for both in itertools.combinations(variants, 2)]
    chance.shuffle(candidates)
    candidates.sort(key=_count_changing, reverse=True)

    chosen: list[Pair] = []
    for pair in candidates:
        native_pair = (*pair[0]["native"], "and", *pair[1]["native"])
        reaches_native = len(native_pair) > 1  # more than the `and`
        if not (reaches_native and native_pair in met):
            chosen.append(pair)
        met.add(native_pair)

    return chosen


def _group_variants(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Return operations in groups that call the same, and differ in their arguments only.

    `s.get(1)`, `s.get('a')`, `len(s)` -> `[s.get(1), s.get('a')]`, `[len(s)]`.
    """
    # An operation that stores a new object comes first: when it is replaced, it is freed. Constants never are.
    ranked = sorted(operations, key=_changes_with_new_object, reverse=True)
    variants: dict[str, list[Operation]] = {}
    for operation in ranked:
        text = operation["text"]
        is_on_subject = text.startswith("s.")
        name = text.partition("(")[0] if is_on_subject else text[:_NAME_LENGTH]
        variants.setdefault(name, []).append(operation)

    return list(variants.values())


def _changes_with_new_object(operation: Operation) -> bool:
    """Return whether an operation changes its subject, and makes a new object for that."""
    return operation["changes"] and any(part in operation["text"] for part in values.FRESH)


def _count_changing(pair: Pair) -> int:
    """Return how many operations of a pair change their subject: 0, 1 or 2."""
    return sum(operation["changes"] for operation in pair)


def _choose_variants(left: Sequence[Operation], right: Sequence[Operation]) -> Pair:
    """Return a pair of one operation of each group: if possible, two that begin with the same argument, such as a key.

    `s.get(1)`, `s.get('a')` and `s.pop('a')` -> `s.get('a')`, `s.pop('a')`. Of several such pairs, the one that makes
    the most new objects is returned: these can be freed. Where there is none, the first of each group.
    """
    alike: list[Pair] = []
    for left_variant, right_variant in itertools.product(left, right):
        argument = _find_first_argument(left_variant["text"])
        if argument and argument == _find_first_argument(right_variant["text"]):
            alike.append((left_variant, right_variant))

    return max(alike, key=_count_new_objects, default=(left[0], right[0]))


def _count_new_objects(pair: Pair) -> int:
    """Return how many new objects the expressions of a pair make."""
    return sum(pair[0]["text"].count(part) + pair[1]["text"].count(part) for part in values.FRESH)


@functools.cache
def _find_first_argument(text: str) -> str:
    """Return the first argument of an operation besides its subject `s`, or its index; empty where there is none.

    `s.get('a', 1)` -> `'a'`; `operator.getitem(s, 0)` -> `0`; `s[0]` -> `0`.
    """
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:  # such an operation can be paired, only not by its argument
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
