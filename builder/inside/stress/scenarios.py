"""What was learnt of a surface -> what threads do at the same time. Pure, and the same for the same seed."""

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import pairing, values
from .learnt import Function, Operation, Subject

Scenario = dict[str, Any]
"""`id`, `kind`, `process` (scenarios of one process follow one another in it), `make` and `argument` (expressions, or
None), `natives` (native callables it reaches), `rows` (calls by kind of thread: text and result alone), `observe`,
`sharing`, `iterations`, `threads`; and `once` where it can be played only once in a process."""

# A thread makes its calls over and over for about this long: threads that begin together overlap for most of it.
_WINDOW_US = 3000
_FEWEST_ITERATIONS = 12  # of calls that take long
_MOST_ITERATIONS = 600  # of short calls: below 5 us a call is too short to be measured well

# How much of what was learnt goes into one scenario. Not measured: more would take time from other scenarios.
_MOST_CALLS = 240  # in one row
_MOST_FIRST_TOGETHER = 80  # first calls in one process
_MOST_VARIANTS = 4  # of one function, each in a thread of its own
_MOST_ON_ONE = 12  # calls that ask new subjects, and changes beneath an iterator
_MOST_IN_LIFE = 40  # calls on a subject that is replaced meanwhile
_MOST_CROSSED = 4  # scenarios with two subjects of a type
_MOST_USERS = 3  # calls while a callback waits

# A first call comes once in a process, and a process takes long: few calls are tried in many, many in a few.
_MOST_FIRST = 24  # calls that get processes of their own
_FIRST_PROCESSES = 72  # of all first calls together, as far as the next two allow
_FEWEST_TURNS = 3  # processes of one call
_MOST_TURNS = 12

_FIRST_ORDERS = 3  # in which everything is used for the first time
_SERIES_SUBJECTS = 80  # new subjects, one after another

# In its life a subject is replaced several times for each time that garbage is collected: collecting takes far longer.
_REPLACED_TIMES = 8
_REPLACING_US = 5.0
_COLLECTING_US = 200.0


def plan(
    surface: Mapping[str, Any], *, threads: int, seed: int, pairs: int, signs: Sequence[str] = ()
) -> list[Scenario]:
    """Return every scenario for a surface (what learn.py found out), in the order in which they are worth running.

    A scenario says which calls several threads make at the same time. The list is empty where nothing can be called.

    Args:
        surface: what learn.py wrote.
        threads: how many threads each scenario has.
        seed: of the order of what has no natural order.
        pairs: most pairs of operations on one subject, i.e. on one object.
        signs: what the compiled code shows: `bare` (types and no lock), `borrowed` (references), `libc` (calls that
            share state), `writable` (static data). What they make likely comes first: there may not be time for all.
    """
    functions: list[Function] = surface["functions"]
    subjects: list[Subject] = surface["subjects"]
    chance = random.Random(seed)
    first_calls = _choose_first_calls(functions, subjects)

    planners: list[tuple[set[str], Iterator[Scenario]]] = [
        ({"writable"}, _plan_first_use(first_calls, chance)),
        ({"libc", "writable"}, _plan_functions(functions, chance, pairs)),
        ({"borrowed"}, _plan_shared_arguments(functions)),
        ({"bare"}, _plan_subjects(subjects, chance, pairs)),
        (set(), _plan_meetings(functions, subjects)),
    ]
    # False sorts before True: first what a sign makes likely. The rest keeps its order.
    planners.sort(key=lambda planner: planner[0].isdisjoint(signs))
    in_order = [scenarios for _, scenarios in planners]

    planned: list[Scenario] = []
    for scenario in itertools.chain(*in_order, _plan_first_use_of_each(first_calls)):
        is_meeting = scenario["kind"] == "meeting"
        scenario["threads"] = 2 if is_meeting else threads
        scenario["id"] = f"{scenario['kind']}-{len(planned)}"
        planned.append(scenario)

    return planned


def count_calls(scenario: Scenario) -> int:
    """Return how many calls a scenario has."""
    return sum(len(row) for row in scenario["rows"])


def _make_scenario(
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
    operations = _flatten(rows)
    mean_us = sum(operation["us"] for operation in operations) / max(1, len(operations))
    iterations = int(_WINDOW_US / max(1.0, mean_us))

    return {
        "kind": kind,
        "process": process,
        "make": make,
        "argument": argument,
        "observe": list(observe),
        "sharing": sharing,
        "iterations": max(_FEWEST_ITERATIONS, min(_MOST_ITERATIONS, iterations)),
        "natives": sorted(_collect_natives(operations)),
        "rows": [_write_row(row, answers=answers) for row in rows],
    }


def _write_row(row: Sequence[Operation], *, answers: bool) -> list[list[str | None]]:
    """Return the calls of a row, each as (text, result alone); the result is None where answers are not compared."""
    calls: list[list[str | None]] = []
    for operation in row:
        result = operation["result"] if answers else None
        calls.append([operation["text"], result])

    return calls


def _make_call(text: str, us: float = 1.0) -> Operation:
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


def _apply_to(operation: Operation, subject: str) -> Operation:
    """Return an operation that works on what an expression gives, instead of on `s`.

    `len(s)` on `s[0]` -> `(lambda s: len(s))(s[0])`.
    """
    return {**operation, "text": f"(lambda s: {operation['text']})({subject})"}


def _without_argument(function: Function) -> list[Operation]:
    """Return the operations of a function that share no argument."""
    return [operation for operation in function["operations"] if "argument" not in operation]


def _flatten(rows: Sequence[Sequence[Operation]]) -> list[Operation]:
    """Return the operations of all rows as one list."""
    return list(itertools.chain.from_iterable(rows))


def _collect_natives(operations: Sequence[Operation]) -> set[str]:
    """Return the native callables that operations reach."""
    natives: set[str] = set()
    for operation in operations:
        natives.update(operation["native"])

    return natives


# --- first use ----------------------------------------------------------------


def _choose_first_calls(
    functions: Sequence[Function], subjects: Sequence[Subject]
) -> list[Operation]:
    """Return one operation for each set of native callables: the first that reaches these.

    Operations on subjects make their subject themselves, so that each can be a process's first call.
    """
    operations = _flatten([_without_argument(function) for function in functions])
    for subject in subjects:
        for operation in subject["operations"]:
            operations.append(_apply_to(operation, subject["make"]))

    chosen: dict[tuple[str, ...], Operation] = {}
    for operation in operations:
        native_names = tuple(operation["native"]) or (operation["text"],)
        chosen.setdefault(native_names, operation)

    return list(chosen.values())[:_MOST_CALLS]


def _plan_first_use(first_calls: Sequence[Operation], chance: random.Random) -> Iterator[Scenario]:
    """Plan that all threads use everything for the first time in a process, in several orders.

    What is set up at the first use may then be set up twice.

    Args:
        first_calls: one operation for each native callable.
        chance: for the orders after the first.
    """
    calls = list(first_calls)
    for order in range(_FIRST_ORDERS):
        for start in range(0, len(calls), _MOST_FIRST_TOGETHER):
            part = calls[start : start + _MOST_FIRST_TOGETHER]
            process = f"first-{order}-{start}"
            scenario = _make_scenario("first", process, [part], sharing="fresh")
            yield {**scenario, "iterations": len(part), "once": True}

        chance.shuffle(calls)


def _plan_first_use_of_each(first_calls: Sequence[Operation]) -> Iterator[Scenario]:
    """Plan that all threads make one call for the first time in a process, in several processes for each call.

    The more calls there are, the fewer processes each has; calls after the first `_MOST_FIRST` are skipped.
    """
    wanted_turns = _FIRST_PROCESSES // max(1, len(first_calls))
    turns = max(_FEWEST_TURNS, min(_MOST_TURNS, wanted_turns))

    for turn in range(turns):
        for number, call in enumerate(first_calls[:_MOST_FIRST]):
            process = f"first-one-{number}-{turn}"
            scenario = _make_scenario("first", process, [[call]], sharing="fresh")
            yield {**scenario, "iterations": 2, "once": True}


# --- functions ----------------------------------------------------------------


def _plan_functions(
    functions: Sequence[Function], chance: random.Random, most_pairs: int
) -> Iterator[Scenario]:
    """Plan that each thread calls functions with arguments of its own: whatever threads share belongs to the functions.

    Functions without such operations are skipped.

    Args:
        functions: what learn.py found out of functions.
        chance: chooses the pairs of functions.
        most_pairs: most pairs of two different functions.
    """
    by_function: list[list[Operation]] = []
    for function in functions:
        operations = _without_argument(function)
        if operations:
            by_function.append(operations)

    for operations in by_function:
        rows = [[operation] for operation in operations[:_MOST_VARIANTS]]
        yield _make_scenario("function", "functions", rows, sharing="fresh", answers=True)
        if len(operations) > 1:
            rows = [operations]
            yield _make_scenario("function", "functions", rows, sharing="fresh", answers=True)

    function_pairs = list(itertools.combinations(by_function, 2))
    chance.shuffle(function_pairs)
    for left, right in function_pairs[:most_pairs]:
        rows = [left[:1], right[:1]]
        yield _make_scenario("functions", "functions", rows, sharing="fresh")

    if by_function:
        rows = [_flatten(by_function)[:_MOST_CALLS]]
        yield _make_scenario("functions", "functions", rows, sharing="fresh")


def _plan_shared_arguments(functions: Sequence[Function]) -> Iterator[Scenario]:
    """Plan that all threads share one argument, such as a list: some pass it to a function, the others change it."""
    for function in functions:
        for operation in function["operations"]:
            if "argument" not in operation:  # it shares none
                continue

            mutations = values.MUTATIONS[operation["mutations"]]
            changes = [_make_call(mutation.format(a="a")) for mutation in mutations]
            rows = [[operation], changes]
            argument = operation["argument"]
            yield _make_scenario("argument", "arguments", rows, argument=argument)


# --- subjects -----------------------------------------------------------------


def _plan_subjects(
    subjects: Sequence[Subject], chance: random.Random, most_pairs: int
) -> Iterator[Scenario]:
    """Plan that threads do with each subject all that can be done with it.

    One subject of each type gets scenarios of every kind, further ones only a few. Subjects without operations are
    skipped.

    Args:
        subjects: the objects that learn.py found.
        chance: for what has no natural order.
        most_pairs: most pairs of operations on one subject.
    """
    planned_types: set[str] = set()
    met: set[pairing.NativePair] = set()

    # Of several objects of a kind, the one of which most can be asked stands for them.
    ranked = sorted(subjects, key=_count_natives, reverse=True)
    for number, subject in enumerate(ranked):
        process = f"subject-{number}"
        if not subject["operations"]:
            continue

        yield from _plan_crossed(subject, ranked)
        if subject["type"] in planned_types:
            # Another of a kind: what differs shows when everything meets.
            yield _plan_mixed(subject, process, chance)
            yield _plan_mixed(subject, process, chance)
            continue

        planned_types.add(subject["type"])
        yield _plan_private(subject, process)
        yield _plan_mixed(subject, process, chance)
        yield from _plan_pairs(subject, process, chance, most_pairs, met)
        yield from _plan_series(subject, process)
        yield _plan_life(subject, process)
        yield from _plan_iteration(subject, process)


def _count_natives(subject: Subject) -> int:
    """Return how many native callables the operations on a subject reach."""
    return len(_collect_natives(subject["operations"]))


def _plan_private(subject: Subject, process: str) -> Scenario:
    """Plan that each call has a subject of its own: whatever threads share then belongs to the type or the module.

    Operations whose result can be compared are taken; where there is none, all.
    """
    operations = subject["operations"]
    with_result = [operation for operation in operations if operation["result"] is not None]

    return _make_scenario(
        "private",
        process,
        [with_result[:_MOST_CALLS] or operations],
        make=subject["make"],
        sharing="fresh",
        answers=True,
    )


def _plan_mixed(subject: Subject, process: str, chance: random.Random) -> Scenario:
    """Plan that two kinds of threads make all calls on one subject, each kind in a random order of its own."""
    operations = subject["operations"]
    first_order = chance.sample(operations, len(operations))
    second_order = chance.sample(operations, len(operations))

    return _make_scenario("mixed", process, [first_order, second_order], make=subject["make"])


def _plan_pairs(
    subject: Subject,
    process: str,
    chance: random.Random,
    most_pairs: int,
    met: set[pairing.NativePair],
) -> Iterator[Scenario]:
    """Plan that threads make two operations at a time on one subject, in a scenario for each pair.

    Pairs that change the subject come first. The same two native callables are paired once, over all subjects.

    Args:
        subject: the object that the operations are made on.
        process: the process in which the scenarios run.
        chance: for what has no natural order.
        most_pairs: how many pairs at most.
        met: native callables that were paired so far; those of this subject are added.
    """
    chosen = pairing.choose_pairs(subject["operations"], chance, met)
    for left, right in chosen[:most_pairs]:
        rows = [[left]] if left is right else [[left], [right]]
        # Python code between may leave behind another state without any fault of native code: then none is compared.
        is_direct = left["direct"] and right["direct"]
        observe = subject["observe"] if is_direct else []
        yield _make_scenario("pair", process, rows, make=subject["make"], observe=observe)


def _plan_series(subject: Subject, process: str) -> Iterator[Scenario]:
    """Plan that all threads read many new subjects, one after another, each for the first time.

    What a subject sets up at its first use may then be set up twice. Operations that change the subject or need further
    arguments are skipped.
    """
    reading: list[Operation] = []
    for operation in subject["operations"]:
        is_pure = operation["direct"] and not operation["changes"]
        asks_subject = is_pure and "(s)" in operation["text"]
        if asks_subject or _names_attribute(operation["text"]):
            reading.append(operation)

    for operation in reading[:_MOST_ON_ONE]:
        rows = [[operation]]
        scenario = _make_scenario("series", process, rows, make=subject["make"], sharing="series")
        yield {**scenario, "iterations": _SERIES_SUBJECTS}


def _names_attribute(text: str) -> bool:
    """Return whether an operation is an attribute or a method without arguments, such as `s.size` or `s.clear()`."""
    is_on_subject = text.startswith("s.")
    return is_on_subject and text.removeprefix("s.").removesuffix("()").isidentifier()


def _plan_crossed(subject: Subject, subjects: Sequence[Subject]) -> Iterator[Scenario]:
    """Plan that threads use two subjects of a type with each other, in both directions at the same time.

    `s.update(o)` and `o.update(s)`: code that locks both must always lock them in the same order. Nothing is planned
    where no operation takes an object of the subject's own type.
    """
    makes_of_type = [other["make"] for other in subjects if other["type"] == subject["type"]]
    crossing: list[tuple[Operation, str]] = []
    for operation in subject["operations"]:
        for other_make in makes_of_type:
            if other_make in operation["text"]:
                crossing.append((operation, other_make))

    make = f"({subject['make']}, {subject['make']})"
    for operation, other_make in crossing[:_MOST_CROSSED]:
        text = operation["text"].replace(other_make, "o")
        forwards: Operation = {**operation, "text": f"(lambda s, o: {text})(s[0], s[1])"}
        backwards: Operation = {**operation, "text": f"(lambda s, o: {text})(s[1], s[0])"}
        yield _make_scenario("crossed", f"crossed-{make}", [[forwards], [backwards]], make=make)


def _plan_life(subject: Subject, process: str) -> Scenario:
    """Plan that some threads use a subject, while others replace it by a new one and collect garbage."""
    make = subject["make"]
    operations = subject["operations"][:_MOST_IN_LIFE]
    uses = [_apply_to(operation, "s[0]") for operation in operations]
    replacing = _make_call(f"operator.setitem(s, 0, {make})", _REPLACING_US)
    collecting = _make_call("gc.collect(0)", _COLLECTING_US)
    endings = [*[replacing] * _REPLACED_TIMES, collecting]

    return _make_scenario("life", process, [uses, endings], make=f"[{make}]")


def _plan_iteration(subject: Subject, process: str) -> Iterator[Scenario]:
    """Plan that all threads share one iterator over a subject, which some of them change.

    Nothing is planned where the subject has no iterator of the package's own.
    """
    operations = subject["operations"]
    if not any(operation["text"] == "iter(s)" for operation in operations):
        return

    step = _make_call("next(s[1], None)")
    changing = [operation for operation in operations if operation["changes"]]
    changes = [_apply_to(operation, "s[0]") for operation in changing[:_MOST_ON_ONE]]
    make = f"(lambda s: (s, iter(s)))({subject['make']})"
    yield _make_scenario("iterator", process, [[step], [step, *changes]], make=make)


# --- meetings -----------------------------------------------------------------


def _plan_meetings(
    functions: Sequence[Function], subjects: Sequence[Subject]
) -> Iterator[Scenario]:
    """Plan that a callback waits until another thread has used the same code.

    Native code that holds a lock while it calls back keeps that thread out, and both wait for ever.
    """
    for number, (operation, users, make) in enumerate(_find_callbacks(functions, subjects), 1):
        calling_back: Operation = {
            **operation,
            "text": operation["text"].replace(values.CALLBACK, "a"),
        }
        calls_meanwhile = ", ".join(f"lambda: {user['text']}" for user in users)
        waiting: Operation = {**operation, "text": f"values.join(a, {calls_meanwhile})"}
        scenario = _make_scenario(
            "meeting",
            f"meeting-{number}",
            [[calling_back], [waiting]],
            make=make,
            argument="values.Meeting()",
        )
        yield {**scenario, "iterations": 1, "once": True}


def _find_callbacks(
    functions: Sequence[Function], subjects: Sequence[Subject]
) -> Iterator[tuple[Operation, list[Operation], str | None]]:
    """Give each operation that takes a callback, the operations of the other thread, and what makes the subject.

    For a function, the other thread makes the same call, and nothing makes a subject (None).
    """
    for subject in subjects:
        operations = subject["operations"]
        without_callback = [
            operation for operation in operations if values.CALLBACK not in operation["text"]
        ]
        users = without_callback[:_MOST_USERS]
        for operation in operations:
            takes_callback = values.CALLBACK in operation["text"]
            if takes_callback and users:
                yield operation, users, subject["make"]

    for function in functions:
        for operation in _without_argument(function):
            if values.CALLBACK in operation["text"]:
                yield operation, [operation], None
