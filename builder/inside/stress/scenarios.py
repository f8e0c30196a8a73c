"""What was learnt of a surface -> what threads do at the same time. Pure, and the same for the same seed."""

import ast
import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any

from . import values

Scenario = dict[str, Any]
"""`id`, `kind`, `process` (scenarios of one process follow one another in it), `make` and `argument` (expressions, or
None), `natives` (native callables it reaches), `rows` (calls by kind of thread: text and result alone), `observe`, `sharing`, `iterations`, `threads`."""

_MOST_CALLS = 240
_MOST_FIRST = 24
_FIRST_PROCESSES = 72
_FIRST_TURNS = (3, 12)
_WINDOW_US = 3000
_ITERATIONS = (12, 600)


def plan(
    surface: dict[str, Any], *, threads: int, seed: int, pairs: int, signs: Sequence[str] = ()
) -> list[Scenario]:
    """Return every scenario for a surface, in the order they are worth running.

    Args:
        surface: what learn.py wrote.
        threads: how many threads each has.
        seed: of the order of what has no natural order.
        pairs: most pairs of operations on one subject.
        signs: what the compiled code shows: `bare` (types and no lock), `borrowed` (references), `libc` (calls that share
            state), `writable` (static data). What they make likely comes first: there may not be time for all.
    """
    chance = random.Random(seed)
    found: list[Scenario] = []
    kinds = {
        ("writable",): _first_use(surface, chance),
        ("libc", "writable"): _functions(surface, chance, pairs),
        ("borrowed",): _arguments(surface),
        ("bare",): _subjects(surface, chance, pairs),
        (): _meetings(surface),
    }
    likely = sorted(kinds, key=lambda of: not set(of) & set(signs))
    for one in itertools.chain(*(kinds[of] for of in likely), _first_use_of_each(surface)):
        one["threads"] = 2 if one["kind"] == "meeting" else threads
        one["id"] = f"{one['kind']}-{len(found)}"
        found.append(one)
    return found


def weight(scenario: Scenario) -> int:
    """Return how many calls a scenario has."""
    return sum(len(row) for row in scenario["rows"])


def _scenario(kind: str, process: str, rows: list[list[dict[str, Any]]], **more: Any) -> Scenario:
    flat = [call for row in rows for call in row]
    mean_us = sum(call["us"] for call in flat) / max(1, len(flat))
    least, most = _ITERATIONS
    return {
        "kind": kind,
        "process": process,
        "make": None,
        "argument": None,
        "observe": [],
        "sharing": "shared",
        "iterations": int(max(least, min(most, _WINDOW_US / max(1.0, mean_us)))),
        "natives": sorted({name for call in flat for name in call.get("native", ())}),
        "rows": [
            [[call["text"], call["result"] if more.get("answers") else None] for call in row]
            for row in rows
        ],
        **{name: value for name, value in more.items() if name != "answers"},
    }


def _bare(operation: dict[str, Any], make: str | None) -> dict[str, Any]:
    """Return an operation that makes its own subject."""
    return (
        operation
        if make is None
        else {**operation, "text": f"(lambda s: {operation['text']})({make})"}
    )


def _all_operations(surface: dict[str, Any]) -> list[dict[str, Any]]:
    functions = [
        one
        for function in surface["functions"]
        for one in function["operations"]
        if "argument" not in one
    ]
    return functions + [
        _bare(one, subject["make"])
        for subject in surface["subjects"]
        for one in subject["operations"]
    ]


def _first_calls(surface: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first operation that reaches each native callable: it stands for it."""
    chosen: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in _all_operations(surface):
        chosen.setdefault(tuple(one["native"]) or (one["text"],), one)
    return list(chosen.values())[:_MOST_CALLS]


def _first_use(surface: dict[str, Any], chance: random.Random) -> Iterator[Scenario]:
    """All threads use everything for the first time in a process: what is set up lazily is set up twice."""
    listed = _first_calls(surface)
    for number in range(3):
        for place in range(0, len(listed), 80):
            part = listed[place : place + 80]
            yield _scenario(
                "first",
                f"first-{number}-{place}",
                [part],
                sharing="fresh",
                iterations=len(part),
                once=True,
            )
        chance.shuffle(listed)


def _first_use_of_each(surface: dict[str, Any]) -> Iterator[Scenario]:
    """A first call comes once in a process, and a process takes long: few calls are tried in many, many in a few."""
    listed = _first_calls(surface)
    least, most = _FIRST_TURNS
    for turn in range(max(least, min(most, _FIRST_PROCESSES // max(1, len(listed))))):
        for number, one in enumerate(listed[:_MOST_FIRST]):
            yield _scenario(
                "first",
                f"first-one-{number}-{turn}",
                [[one]],
                sharing="fresh",
                iterations=2,
                once=True,
            )


def _functions(surface: dict[str, Any], chance: random.Random, pairs: int) -> Iterator[Scenario]:
    """Functions with arguments of each thread's own: whatever they share is theirs."""
    functions = [
        [one for one in function["operations"] if "argument" not in one]
        for function in surface["functions"]
    ]
    functions = [listed for listed in functions if listed]
    for listed in functions:
        yield _scenario(
            "function", "functions", [[one] for one in listed[:4]], sharing="fresh", answers=True
        )
        if len(listed) > 1:
            yield _scenario("function", "functions", [listed], sharing="fresh", answers=True)
    couples = list(itertools.combinations(functions, 2))
    chance.shuffle(couples)
    for left, right in couples[:pairs]:
        yield _scenario("functions", "functions", [left[:1], right[:1]], sharing="fresh")
    if functions:
        yield _scenario(
            "functions",
            "functions",
            [[one for listed in functions for one in listed][:_MOST_CALLS]],
            sharing="fresh",
        )


def _arguments(surface: dict[str, Any]) -> Iterator[Scenario]:
    """One argument for all threads, which some of them change."""
    for function in surface["functions"]:
        for one in function["operations"]:
            if "argument" in one:
                changes = [
                    {"text": change.format(a="a"), "us": 1.0, "result": None} for change in values.MUTATIONS[one["mutations"]]
                ]  # fmt: skip
                yield _scenario("argument", "arguments", [[one], changes], argument=one["argument"])


def _subjects(surface: dict[str, Any], chance: random.Random, pairs: int) -> Iterator[Scenario]:
    known: set[str] = set()
    met: set[tuple[str, ...]] = set()
    # Of several objects of a kind, the one of which most can be asked stands for them.
    subjects = sorted(
        surface["subjects"],
        key=lambda subject: -len({name for one in subject["operations"] for name in one["native"]}),
    )
    for number, subject in enumerate(subjects):
        operations = subject["operations"]
        process, make = f"subject-{number}", subject["make"]
        if not operations:
            continue
        yield from _crossed(operations, subject, subjects)
        if subject["type"] in known:  # another of a kind: what differs shows when everything meets
            for _ in range(2):
                rows = [chance.sample(operations, len(operations)) for _ in range(2)]
                yield _scenario("mixed", process, rows, make=make)
            continue
        known.add(subject["type"])
        # Each thread has subjects of its own: whatever they share is the type's, or the module's.
        answering = [one for one in operations if one["result"] is not None][
            :_MOST_CALLS
        ] or operations
        yield _scenario("private", process, [answering], make=make, sharing="fresh", answers=True)
        yield _scenario(
            "mixed",
            process,
            [chance.sample(operations, len(operations)) for _ in range(2)],
            make=make,
        )
        yield from _pairs(operations, make, process, chance, pairs, subject["observe"], met)
        yield from _series(operations, make, process)
        yield from _life(operations, make, process)
        yield from _iteration(operations, make, process)


def _pairs(
    operations: list[dict[str, Any]], make: str, process: str, chance: random.Random, pairs: int, observe: list[str],
    met: set[tuple[str, ...]],
) -> Iterator[Scenario]:  # fmt: skip
    """Two operations at a time on one subject, those that change it first; the same native code meets itself once.

    Args:
        operations: of the subject.
        make: makes it.
        process: where the scenarios run.
        chance: for what has no natural order.
        pairs: how many pairs at most.
        observe: what tells its state.
        met: native callables of the pairs that another subject had.
    """
    variants: dict[str, list[dict[str, Any]]] = {}
    # What replaces an object is seen to free it only where the object is not a constant.
    for one in sorted(
        operations,
        key=lambda one: not (one["changes"] and any(part in one["text"] for part in values.FRESH)),
    ):
        name = one["text"].partition("(")[0] if one["text"].startswith("s.") else one["text"][:24]
        variants.setdefault(name, []).append(one)
    couples = [(listed[0], listed[0]) for listed in variants.values()]
    couples += [
        _about_the_same(left, right) for left, right in itertools.combinations(variants.values(), 2)
    ]
    chance.shuffle(couples)
    couples.sort(key=lambda couple: -couple[0]["changes"] - couple[1]["changes"])
    fresh = [couple for couple in couples if _is_new(couple, met)]
    for left, right in fresh[:pairs]:
        direct = left["direct"] and right["direct"]
        rows = [[left]] if left is right else [[left], [right]]
        yield _scenario("pair", process, rows, make=make, observe=observe if direct else [])


def _about_the_same(
    left: list[dict[str, Any]], right: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Choose a variant of each of two operations that begin with the same argument, such as a key.

    Where there are several, the one with the most new objects: those can be freed. Where there is none, the first of each.
    """
    alike = [
        (one, other)
        for one, other in itertools.product(left, right)
        if _first_argument(one["text"])
        and _first_argument(one["text"]) == _first_argument(other["text"])
    ]
    return max(
        alike,
        key=lambda couple: _new_objects(couple[0]) + _new_objects(couple[1]),
        default=(left[0], right[0]),
    )


def _new_objects(operation: dict[str, Any]) -> int:
    return sum(operation["text"].count(part) for part in values.FRESH)


@functools.cache
def _first_argument(text: str) -> str:
    """Return the first argument of an operation on `s` besides `s`, or what it is indexed with; empty without one."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""
    if isinstance(tree, ast.Subscript):
        return ast.unparse(tree.slice)
    if not isinstance(tree, ast.Call):
        return ""
    arguments = [ast.unparse(one) for one in tree.args]
    return next((one for one in arguments if one != "s"), "")


def _is_new(couple: tuple[dict[str, Any], dict[str, Any]], met: set[tuple[str, ...]]) -> bool:
    key = (*couple[0]["native"], "and", *couple[1]["native"])
    if len(key) > 1 and key in met:
        return False
    met.add(key)
    return True


def _series(operations: list[dict[str, Any]], make: str, process: str) -> Iterator[Scenario]:
    """Many new subjects, each used by all threads at once for the first time: what one sets up when first asked."""
    asking = [
        one
        for one in operations
        if (one["direct"] and not one["changes"] and "(s)" in one["text"]) or _is_bare(one["text"])
    ][:12]
    for one in asking:
        yield _scenario("series", process, [[one]], make=make, sharing="series", iterations=80)


def _crossed(
    operations: list[dict[str, Any]], subject: dict[str, Any], subjects: list[dict[str, Any]]
) -> Iterator[Scenario]:
    """Two objects, each used with the other at the same time: who locks both has to do it in one order."""
    others = [other["make"] for other in subjects if other["type"] == subject["type"]]
    make = f"({subject['make']}, {subject['make']})"
    crossing = [(one, other) for one in operations for other in others if other in one["text"]]
    for one, other in crossing[:4]:
        inner = one["text"].replace(other, "o")
        rows = [
            [{**one, "text": f"(lambda s, o: {inner})({given})"}]
            for given in ("s[0], s[1]", "s[1], s[0]")
        ]
        yield _scenario("crossed", f"crossed-{make}", rows, make=make)


def _is_bare(text: str) -> bool:
    return text.startswith("s.") and text.removeprefix("s.").removesuffix("()").isidentifier()


def _life(operations: list[dict[str, Any]], make: str, process: str) -> Iterator[Scenario]:
    """A subject that is replaced, and collected, while others use it."""
    inner = [{**one, "text": f"(lambda s: {one['text']})(s[0])"} for one in operations][:40]
    replacing = [{"text": f"operator.setitem(s, 0, {make})", "us": 5.0, "result": None}] * 8
    collecting = {"text": "gc.collect(0)", "us": 200.0, "result": None}
    yield _scenario("life", process, [inner, [*replacing, collecting]], make=f"[{make}]")


def _iteration(operations: list[dict[str, Any]], make: str, process: str) -> Iterator[Scenario]:
    """One iterator for all threads, over a subject that changes."""
    texts = {one["text"] for one in operations}
    if "iter(s)" in texts:
        step = {"text": "next(s[1], None)", "us": 1.0, "result": None}
        changes = [
            {**one, "text": f"(lambda s: {one['text']})(s[0])"}
            for one in operations
            if one["changes"]
        ][:12]
        yield _scenario(
            "iterator",
            process,
            [[step], [step, *changes]],
            make=f"(lambda s: (s, iter(s)))({make})",
        )


def _meetings(surface: dict[str, Any]) -> Iterator[Scenario]:
    """A callback that waits for another thread to use the same code: a lock held across it keeps that thread out."""
    number = 0
    for subject in surface["subjects"]:
        users = [one for one in subject["operations"] if values.CALLBACK not in one["text"]][:3]
        for one in subject["operations"]:
            if values.CALLBACK in one["text"] and users:
                number += 1
                calling = {**one, "text": one["text"].replace(values.CALLBACK, "a")}
                meanwhile = ", ".join(f"lambda: {user['text']}" for user in users)
                waiting = {**one, "text": f"values.join(a, {meanwhile})"}
                yield _scenario(
                    "meeting",
                    f"meeting-{number}",
                    [[calling], [waiting]],
                    make=subject["make"],
                    argument="values.Meeting()",
                    iterations=1,
                    once=True,
                )
    for function in surface["functions"]:
        for one in function["operations"]:
            if values.CALLBACK in one["text"] and "argument" not in one:
                number += 1
                calling = {**one, "text": one["text"].replace(values.CALLBACK, "a")}
                waiting = {**one, "text": f"values.join(a, lambda: {one['text']})"}
                yield _scenario(
                    "meeting",
                    f"meeting-{number}",
                    [[calling], [waiting]],
                    argument="values.Meeting()",
                    iterations=1,
                    once=True,
                )
