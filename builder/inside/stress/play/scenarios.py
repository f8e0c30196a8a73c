"""What was learnt of a surface -> what threads do at the same time. Pure, and the same for the same seed."""

import itertools
import operator
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..calls import values
from ..calls.learnt import Function, Operation, Subject
from . import pairing
from .crossed import plan_crossed
from .reentrancy import plan_reentrant
from .scenario import (
    Scenario,
    apply_to,
    collect_natives,
    count_calls,
    flatten,
    list_running,
    list_unshared,
    list_without_argument,
    make_call,
    make_scenario,
)
from .shared_arguments import plan_components, plan_shared_arguments

__all__ = ["Scenario", "count_calls", "plan"]

# How much of what was learnt goes into one scenario. Not measured: more would take time from other scenarios.
_MOST_CALLS = 240  # in one row
_MOST_FIRST_TOGETHER = 80  # first calls in one process
_MOST_VARIANTS = 4  # of one function, each in a thread of its own
_MOST_ON_ONE = 12  # calls that ask new subjects, and changes beneath an iterator
_MOST_IN_LIFE = 40  # calls on a subject that is replaced meanwhile
_MOST_USERS = 3  # calls while a callback waits
_HEAD_PAIRS = (
    8  # of a subject that come before anything of the next subjects has its turn a second time
)

# A first call comes once in a process, and a process takes long: few calls are tried in many, many in a few.
_MOST_FIRST = 24  # calls that get processes of their own
_FIRST_PROCESSES = 72  # of all first calls together, as far as the next two allow
_FEWEST_TURNS = 3  # processes of one call
_MOST_TURNS = 12

_FIRST_ORDERS = 3  # in which everything is used for the first time
_FUNCTIONS_TOGETHER = 8  # in one process, before other kinds have their turn
_MOST_IN_TOUR = 32  # calls on one object: what each of them adds to it makes the next one slower
_MOST_ALIKE = 2  # calls of one callable in a tour
_TOURS_TOGETHER = 4  # types in one process: what ends it leaves the others of it for the next
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
    plain: list[Subject] = []
    for subject in subjects:
        plain.append({**subject, "operations": list_unshared(subject)})
    chance = random.Random(seed)
    first_calls = _choose_first_calls(functions, plain)

    planners: list[tuple[set[str], Iterator[Scenario]]] = [
        ({"bare"}, _plan_subjects(plain, chance, pairs)),
        ({"libc", "writable"}, _plan_functions(functions, chance, pairs)),
        ({"writable"}, _plan_first_use(first_calls, chance)),
        ({"borrowed"}, plan_shared_arguments(functions, subjects)),
        ({"borrowed"}, plan_reentrant(plain)),
        (set(), plan_components(plain)),
        (set(), _plan_meetings(functions, plain)),
        (set(), _plan_spoiled(subjects)),
    ]
    # False sorts before True: first what a sign makes likely. The rest keeps its order.
    planners.sort(key=lambda planner: planner[0].isdisjoint(signs))
    in_turns = _interleave([scenarios for _, scenarios in planners])
    tours = _plan_tours(functions, plain, chance)

    planned: list[Scenario] = []
    for scenario in itertools.chain(tours, in_turns, _plan_first_use_of_each(first_calls)):
        is_meeting = scenario["kind"] == "meeting"
        scenario.setdefault("threads", 2 if is_meeting else threads)
        scenario["id"] = f"{scenario['kind']}-{len(planned)}"
        planned.append(scenario)

    return planned


def _interleave(planners: Sequence[Iterator[Scenario]]) -> Iterator[Scenario]:
    """Give the scenarios of each planner in turn, those of one process at a time: no kind comes last as a whole."""
    waiting = [itertools.groupby(planner, operator.itemgetter("process")) for planner in planners]
    while waiting:
        going_on = []
        for groups in waiting:
            process = next(groups, None)
            if process is None:
                continue
            yield from process[1]
            going_on.append(groups)
        waiting = going_on


# --- all of it ----------------------------------------------------------------


def _plan_tours(
    functions: Sequence[Function], subjects: Sequence[Subject], chance: random.Random
) -> Iterator[Scenario]:
    """Plan that threads call all functions, and make all calls on one subject of each type.

    They come before all else: however little time there is, all that was learnt is put under threads.

    Args:
        functions: what learn.py found out of functions.
        subjects: the objects that it found.
        chance: for the order of the calls.
    """
    calls = _take_few_of_each(flatten(_list_by_function(functions)))
    for part in _part(calls, _MOST_IN_TOUR):
        scenario = make_scenario("tour", "tour-functions", [part], sharing="fresh")
        yield {**scenario, "iterations": max(scenario["iterations"], len(part))}

    toured: set[str] = set()
    for subject in _rank_subjects(subjects):
        if subject["type"] in toured:
            continue
        process = f"tour-{len(toured) // _TOURS_TOGETHER}"
        toured.add(subject["type"])
        for part in _part(_take_few_of_each(subject["operations"]), _MOST_IN_TOUR):
            one: Subject = {**subject, "operations": part}
            yield {**_plan_mixed(one, process, chance), "kind": "tour"}


def _plan_spoiled(subjects: Sequence[Subject]) -> Iterator[Scenario]:
    """Plan that one thread makes calls after those that spoil the subject, to show that this takes no second thread."""
    for number, subject in enumerate(subjects):
        for spoiling in subject.get("spoils", ())[:1]:
            others = _take_few_of_each(list_unshared(subject))[:_MOST_IN_TOUR]
            rows = [[spoiling, *others]]
            scenario = make_scenario("spoiled", f"spoiled-{number}", rows, make=subject["make"])
            yield {**scenario, "threads": 1}


def _part(operations: Sequence[Operation], most: int) -> Iterator[list[Operation]]:
    """Give operations in lists of some length."""
    for start in range(0, len(operations), most):
        yield list(operations[start : start + most])


def _take_few_of_each(operations: Sequence[Operation]) -> list[Operation]:
    """Return operations without those that reach the same native callables as enough of those before them."""
    counts: dict[tuple[str, ...], int] = {}
    taken: list[Operation] = []
    for operation in operations:
        native_names = tuple(operation["native"]) or (operation["text"],)
        counts[native_names] = counts.get(native_names, 0) + 1
        if counts[native_names] <= _MOST_ALIKE:
            taken.append(operation)

    return taken


# --- first use ----------------------------------------------------------------


def _choose_first_calls(
    functions: Sequence[Function], subjects: Sequence[Subject]
) -> list[Operation]:
    """Return one operation for each set of native callables: the first that reaches these.

    Operations on subjects make their subject themselves, so that each can be a process's first call.
    """
    operations = flatten([list_without_argument(function) for function in functions])
    for subject in subjects:
        for operation in subject["operations"]:
            operations.append(apply_to(operation, subject["make"]))

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
            scenario = make_scenario("first", process, [part], sharing="fresh")
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
            scenario = make_scenario("first", process, [[call]], sharing="fresh")
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
    by_function = _list_by_function(functions)
    for number, operations in enumerate(by_function):
        process = f"functions-{number // _FUNCTIONS_TOGETHER}"
        rows = [[operation] for operation in operations[:_MOST_VARIANTS]]
        yield make_scenario("function", process, rows, sharing="fresh", answers=True)
        if len(operations) > 1:
            rows = [operations]
            yield make_scenario("function", process, rows, sharing="fresh", answers=True)

    # What replaces the state of a module is beside what uses it: such functions return nothing, most often.
    function_pairs = list(itertools.combinations(by_function, 2))
    chance.shuffle(function_pairs)
    function_pairs.sort(key=lambda pair: -(pair[0][0]["changes"] + pair[1][0]["changes"]))
    for left, right in function_pairs[:most_pairs]:
        rows = [_prefer_new_objects(left)[:2], _prefer_new_objects(right)[:2]]
        yield make_scenario("functions", "functions-paired", rows, sharing="fresh")


def _list_by_function(functions: Sequence[Function]) -> list[list[Operation]]:
    """Return the operations of each function that share no argument; functions without such are left out."""
    by_function = [list_without_argument(function) for function in functions]
    return [operations for operations in by_function if operations]


def _prefer_new_objects(operations: Sequence[Operation]) -> list[Operation]:
    """Return operations, those first that are given new objects: what they replace can be freed."""

    def makes_none(operation: Operation) -> bool:
        return not any(part in operation["text"] for part in values.FRESH)

    return sorted(operations, key=makes_none)


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
    later: list[Iterator[Scenario]] = []

    ranked = _rank_subjects(subjects)
    for number, subject in enumerate(ranked):
        process = f"subject-{number}"
        if not subject["operations"]:
            continue

        yield from plan_crossed(subject, ranked)
        if subject["type"] in planned_types:
            # Another of a kind: what differs shows when everything meets.
            yield _plan_mixed(subject, process, chance)
            yield _plan_mixed(subject, process, chance)
            continue

        planned_types.add(subject["type"])
        pairs = list(_plan_pairs(subject, process, chance, most_pairs, met))
        series = list(_plan_series(subject, process))
        yield from pairs[:_HEAD_PAIRS]
        yield _plan_private(subject, process)
        yield _plan_mixed(subject, process, chance)
        yield from series[:1]
        yield _plan_life(subject, process)
        yield from _plan_iteration(subject, process)
        later.append(_move(f"{process}-more", [*pairs[_HEAD_PAIRS:], *series[1:]]))

    for scenarios in later:
        yield from scenarios


def _move(process: str, scenarios: Sequence[Scenario]) -> Iterator[Scenario]:
    """Give scenarios in another process."""
    for scenario in scenarios:
        yield {**scenario, "process": process}


def _rank_subjects(subjects: Sequence[Subject]) -> list[Subject]:
    """Return subjects, those first of which most can be asked: of several objects of a type, one stands for them."""
    return sorted(subjects, key=_count_natives, reverse=True)


def _count_natives(subject: Subject) -> int:
    """Return how many native callables the operations on a subject reach."""
    return len(collect_natives(subject["operations"]))


def _plan_private(subject: Subject, process: str) -> Scenario:
    """Plan that each call has a subject of its own: whatever threads share then belongs to the type or the module.

    Operations whose result can be compared come first. What shows nothing here shows that a fault of the same calls
    needs something shared: each call is made at least once.
    """
    by_result = sorted(subject["operations"], key=lambda operation: operation["result"] is None)
    row = by_result[:_MOST_CALLS]
    scenario = make_scenario(
        "private", process, [row], make=subject["make"], sharing="fresh", answers=True
    )

    return {**scenario, "iterations": max(scenario["iterations"], len(row))}


def _plan_mixed(subject: Subject, process: str, chance: random.Random) -> Scenario:
    """Plan that two kinds of threads make all calls on one subject, each kind in a random order of its own."""
    operations = list_running(subject["operations"])
    first_order = chance.sample(operations, len(operations))
    second_order = chance.sample(operations, len(operations))
    scenario = make_scenario("mixed", process, [first_order, second_order], make=subject["make"])

    # What takes long is made less often, but each call once.
    return {**scenario, "iterations": max(scenario["iterations"], len(operations))}


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
        yield make_scenario("pair", process, rows, make=subject["make"], observe=observe)


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
        scenario = make_scenario("series", process, rows, make=subject["make"], sharing="series")
        yield {**scenario, "iterations": _SERIES_SUBJECTS}


def _names_attribute(text: str) -> bool:
    """Return whether an operation is an attribute or a method without arguments, such as `s.size` or `s.clear()`."""
    is_on_subject = text.startswith("s.")
    return is_on_subject and text.removeprefix("s.").removesuffix("()").isidentifier()


def _plan_life(subject: Subject, process: str) -> Scenario:
    """Plan that some threads use a subject, while others replace it by a new one and collect garbage."""
    make = subject["make"]
    operations = subject["operations"][:_MOST_IN_LIFE]
    uses = [apply_to(operation, "s[0]") for operation in operations]
    replacing = make_call(f"operator.setitem(s, 0, {make})", _REPLACING_US)
    collecting = make_call("gc.collect(0)", _COLLECTING_US)
    endings = [*[replacing] * _REPLACED_TIMES, collecting]

    return make_scenario("life", process, [uses, endings], make=f"[{make}]")


def _plan_iteration(subject: Subject, process: str) -> Iterator[Scenario]:
    """Plan that all threads share one iterator over a subject, which some of them change.

    Nothing is planned where the subject has no iterator of the package's own.
    """
    operations = subject["operations"]
    if not any(operation["text"] == "iter(s)" for operation in operations):
        return

    step = make_call("next(s[1], None)")
    changing = [operation for operation in operations if operation["changes"]]
    changes = [apply_to(operation, "s[0]") for operation in changing[:_MOST_ON_ONE]]
    make = f"(lambda s: (s, iter(s)))({subject['make']})"
    yield make_scenario("iterator", process, [[step], [step, *changes]], make=make)


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
        scenario = make_scenario(
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
        for operation in list_without_argument(function):
            if values.CALLBACK in operation["text"]:
                yield operation, [operation], None
