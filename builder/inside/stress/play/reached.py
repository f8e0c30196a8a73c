"""Which native callables were really put under threads: by what returned there, not by what was planned."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .scenarios import Scenario

_SHARING = frozenset({"shared", "series"})
"""Where the threads of a scenario have one object."""

_KEEPING_APART = frozenset({"fresh", "private"})
"""Where each thread, or each call, has an object of its own."""


def find_reached(
    plan: Sequence[Scenario], returned: Mapping[str, Sequence[str]], surface: Mapping[str, Any]
) -> set[str]:
    """Return the native callables that returned in several threads.

    What works on an object counts where threads shared it; functions of modules, and what makes objects, everywhere.

    Args:
        plan: the scenarios.
        returned: calls that returned in more than one thread, by id of the scenario.
        surface: what learn.py wrote.
    """
    stateless = set(surface.get("stateless", ()))

    reached: set[str] = set()
    for scenario, text, names in _iter_returned(plan, returned, surface):
        is_shared = scenario["sharing"] in _SHARING and scenario["make"] is not None
        is_on_argument = text.endswith(")(a)")  # an object that threads share as an argument
        if is_shared or is_on_argument:
            reached |= names
        else:
            reached |= names & stateless

    return reached


def find_unshared(
    plan: Sequence[Scenario], returned: Mapping[str, Sequence[str]], surface: Mapping[str, Any]
) -> set[str]:
    """Return the native callables that returned in several threads while these shared nothing.

    The arguments are those of `find_reached`.
    """
    unshared: set[str] = set()
    for scenario, _, names in _iter_returned(plan, returned, surface):
        is_apart = scenario["sharing"] in _KEEPING_APART and scenario["argument"] is None
        if is_apart:
            unshared |= names

    return unshared


def _iter_returned(
    plan: Sequence[Scenario], returned: Mapping[str, Sequence[str]], surface: Mapping[str, Any]
) -> Iterator[tuple[Scenario, str, set[str]]]:
    """Give each call that returned in several threads, with its scenario and the native callables that it reaches."""
    natives = _list_natives(surface)
    for scenario in plan:
        for text in returned.get(scenario["id"], ()):
            # Methods of two types may be called the same.
            yield (
                scenario,
                text,
                natives.get(_find_operation(text), set()) & set(scenario["natives"]),
            )


def _find_operation(text: str) -> str:
    """Return the operation that a call makes, also on another subject: `(lambda s: len(s))(s[0])` -> `len(s)`."""
    for head in ("(lambda s: ", "(lambda s, o: "):
        if text.startswith(head):
            return text.removeprefix(head).partition(")(")[0]

    return text


def _list_natives(surface: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the native callables that each operation reaches, by the operation's text."""
    natives: dict[str, set[str]] = {}
    operations = [part for function in surface["functions"] for part in function["operations"]]
    for subject in surface["subjects"]:
        operations += subject["operations"]
    for operation in operations:
        natives.setdefault(operation["text"], set()).update(operation["native"])

    return natives
