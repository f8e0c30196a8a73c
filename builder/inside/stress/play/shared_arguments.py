"""Plan that threads share an argument, or an object that theirs are made of."""

from collections.abc import Iterator, Sequence

from ..calls import values
from ..calls.learnt import Function, Operation, Subject
from .scenario import (
    Scenario,
    apply_to,
    list_running,
    list_unshared,
    make_call,
    make_scenario,
)

# How much of what was learnt goes into scenarios. Not measured: more would take time from other scenarios.
_MOST_SHARED = 6  # operations of a subject that share an argument
_MOST_ASKED = 12  # calls that ask a subject what it kept
_MOST_USES = 40  # calls on objects that share a component


def plan_shared_arguments(
    functions: Sequence[Function], subjects: Sequence[Subject]
) -> Iterator[Scenario]:
    """Plan that all threads share one argument, such as a list: some pass it on, the others change it.

    A method is called on a subject of each thread's own. What a subject may keep of the argument is used as well: then
    the subject is shared, and other threads ask it while the argument changes.
    """
    for function in functions:
        for operation in function["operations"]:
            if "argument" not in operation:  # it shares none
                continue

            rows = [[operation], _list_changes(operation)]
            argument = operation["argument"]
            yield make_scenario("argument", "arguments", rows, argument=argument)

    for number, subject in enumerate(subjects):
        process = f"arguments-{number}"
        sharing = [operation for operation in subject["operations"] if "argument" in operation]
        others = list_unshared(subject)
        for operation in sharing[:_MOST_SHARED]:
            changes = _list_changes(operation)
            yield make_scenario(
                "argument",
                process,
                [[operation], changes],
                make=subject["make"],
                argument=operation["argument"],
                sharing="argument",
            )
            asking = _ask_after_each(operation, others)
            if asking:
                yield make_scenario(
                    "kept",
                    process,
                    [asking, changes],
                    make=subject["make"],
                    argument=operation["argument"],
                )


def _ask_after_each(operation: Operation, others: Sequence[Operation]) -> list[Operation]:
    """Return calls that pass on an argument, and after each one that asks what the subject may have kept of it.

    Another call of the same method would have it keep something else, and what stops all threads would order what they
    do. Empty where there is nothing to ask.
    """
    asking: list[Operation] = []
    for other in list_running(others):
        if other["native"] != operation["native"]:
            asking += [operation, other]

    return asking[: 2 * _MOST_ASKED]


def _list_changes(operation: Operation) -> list[Operation]:
    """Return what threads do to the argument that an operation shares."""
    mutations = values.MUTATIONS[operation["mutations"]]
    return [make_call(mutation.format(a="a")) for mutation in mutations]


def plan_components(subjects: Sequence[Subject]) -> Iterator[Scenario]:
    """Plan that subjects of each thread's own are made of one object, which other threads use.

    `pkg.Compressor(pkg.Table(3))`, `pkg.Table(3)`: compressors that share a table. Nothing is planned where no subject
    is made of another.
    """
    pairs: set[tuple[str, str]] = set()
    for whole in subjects:
        for part in subjects:
            types = (whole["type"], part["type"])
            # An object, not the class of one, inside of what makes another.
            is_object = part["make"].endswith(")")
            is_made_of = is_object and part["make"] in whole["make"] and part is not whole
            is_made_of = is_made_of and part["make"] != whole["make"]
            # A descriptor has one class: nobody makes several of it at the same time.
            is_made_by_farm = whole["make"].startswith(("(lambda s: ", "values.own("))
            if not is_made_of or types in pairs or is_made_by_farm:
                continue

            pairs.add(types)
            make = whole["make"].replace(part["make"], "a")
            whole_uses = list_running(list_unshared(whole))
            part_uses = list_running(list_unshared(part))
            uses = [apply_to(use, make) for use in whole_uses[:_MOST_USES]]
            asked = [apply_to(use, "a") for use in part_uses[:_MOST_USES]]
            if uses:
                process = f"component-{len(pairs)}"
                rows = [uses, asked or uses]
                yield make_scenario("component", process, rows, argument=part["make"])
