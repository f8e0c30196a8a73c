"""The sentence of a finding about threads, made from the functions that stand behind it. Pure.

A reader knows the package by its Python names; a maintainer finds the line by those of C.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.judge.levels import was_shown
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.evidence.events import Harm, Race, Side, Variants
    from builder.evidence.scenarios import Scenario

_MAX_FUNCTIONS = 4  # named of a cause; the rest are counted
_MAX_CALLS = 3  # of a finding, in its sentence; its program has all
_MAX_MAKE_CHARS = 80
_MAX_STEPS = 2  # that an object was taken through before
_MAX_CHANGING = 2  # functions that users can be told to call before threads begin
_MAX_LINES = 4  # of source; the report has all

_HARNESS_CALLS = (
    "gc.collect(",
    "gc.get_referents(",
    "values.join(",
    "copy.deepcopy(s) and",
    "operator.setitem(s, 0,",
)
"""Beginnings of calls that the scenarios make round those of the package, and that say nothing about it."""

_STAND_INS = (
    (re.compile(r"values\.SlowIndex\((\d+)\)"), r"\1"),
    (re.compile(r"values\.Slow\(([^()]*)\)"), r"\1"),
    (re.compile(r"values\.SlowBuffer\(\)"), "b'abcdefgh'"),
    (re.compile(r"values\.SlowEnd\(\)"), "object()"),
    (re.compile(r"values\.Pausing\(\)"), "item"),
    (re.compile(r"values\.(?:Meeting|Collecting)\(\)"), "callback"),
    (re.compile(r"\(lambda \*given, \*\*named: (?:1|int\('1001'\))\)"), "callback"),
    (re.compile(r"''\.join\(('[^']*')\)(?: \* \d+)?"), r"\1"),
    (re.compile(r"^\(lambda s, o: (.*)\)\(s\[[01]\], s\[[01]\]\)$"), r"\1"),
    (re.compile(r"\boperator\.(?:getitem)\(s, (.+)\)$"), r"s[\1]"),
    (re.compile(r" and None$"), ""),
)  # fmt: skip
"""What stands in calls to let other threads run or to make a value anew, and what a person would write."""


def name_function(side: Side) -> str:
    """Return what a function is called in a sentence: `Table.add()`, `Table.size`, `Table.size = …`, `Table()`."""
    # What a private module has is mostly reached by the package's own name.
    *outer, leaf = side.function.split(".")
    public = [part for part in outer if not part.startswith("_")]
    parts = [*(public or outer), leaf]
    short = ".".join(parts[-2:])
    if side.kind in {"function", "call", "builtin"}:
        is_type_alone = side.kind == "builtin" and len(parts) == 1
        return f"`{short}`" if is_type_alone else f"`{short}()`"
    if side.kind == "get":
        return f"`{short}`"
    if side.kind == "set":
        return f"`{short} = …`"

    type_name = parts[-2] if len(parts) > 1 else short
    if side.kind == "new":
        return f"`{type_name}()`"
    if side.kind == "free":
        return f"the end of a `{type_name}`"
    return f"`{side.function}`"


def describe_race(race: Race, others: Sequence[Race] = ()) -> str:
    """Return what races, in a sentence without a full stop.

    Args:
        race: the race that stands for its cause.
        others: those with the same cause.
    """
    sides = race.sides
    if len(sides) < 2:  # noqa: PLR2004 - a race is between two; older evidence names none
        return ", ".join(race.lines)
    if any(side.access == "lock" for side in sides):
        names = dict.fromkeys(name_function(side) for side in sides)
        return f"{' and '.join(names)} take locks in two orders"

    own_sides = [side for side in sides if side.kind != "builtin"]
    if len(own_sides) == 1:
        return _describe_container(own_sides[0], sides, race)
    return _describe_functions([race, *others], sides)


def _describe_container(own: Side, sides: Iterable[Side], race: Race) -> str:
    """Return what a function does with an object of the interpreter that others change meanwhile."""
    other = next(side for side in sides if side is not own)
    container = race.shares or own.builtin or other.builtin
    thing = f"a {container}" if container else "an object"
    function = name_function(own)
    by_whom = f" ({name_function(other)})" if "." in other.function else ""

    if race.freed and own.access != "free":
        return f"{function} uses what {thing} held when another thread has given it back{by_whom}"
    if own.access == "read":
        return (
            f"{function} reads {thing} while another thread changes it{by_whom}, and locks nothing"
        )
    return f"{function} changes {thing} that another thread uses{by_whom}, and locks nothing"


def _describe_functions(races: Sequence[Race], sides: Sequence[Side]) -> str:
    """Return which functions change memory, and which others use it meanwhile."""
    freeing: dict[str, None] = {}
    writing: dict[str, None] = {}
    using: dict[str, None] = {}
    for race in races:
        for side in race.sides:
            if side.kind == "builtin":
                continue
            name = name_function(side)
            if side.access == "free":
                freeing[name] = None
            elif side.access == "write":
                writing[name] = None
            else:
                using[name] = None

    changing = list(freeing) or list(writing)
    rest = [name for name in (*writing, *using) if name not in changing]
    verb = "frees" if freeing else "changes"
    # A write beside an atomic one has no reader.
    changing = changing or [name_function(side) for side in sides]
    if not rest:
        rest = changing if len(changing) > 1 else ["the same function"]

    plural = verb.removesuffix("s") if len(changing) > 1 else verb
    return f"{_join(changing)} {plural} memory that another thread uses in {_join(rest)}, and nothing orders the two"


def _join(names: Sequence[str]) -> str:
    return join_names(names, _MAX_FUNCTIONS)


def describe_places(races: Sequence[Race]) -> str:
    """Return where in the source a cause is: functions of C with their lines, and how many more places there are."""
    places: dict[str, None] = {}
    for race in races:
        for side in race.sides:
            place = _name_place(side)
            if place:
                places[place] = None

    shown = list(places)[:_MAX_LINES]
    text = f" [{', '.join(shown)}"
    if len(places) > len(shown):
        text += f" and {len(places) - len(shown)} more places"
    return f"{text}]" if shown else ""


def _name_place(side: Side) -> str:
    """Return where in the package's source one side is; empty where that is not known, or it is in no file of its."""
    if side.kind == "builtin":
        return ""
    function = side.place.partition(" (")[0]
    if function.startswith("__pyx_"):  # the line alone says more
        return side.source
    return f"{function} ({side.source})" if side.source else side.place


def describe_calls(scenario: Scenario | None, functions: Iterable[str] = ()) -> str:
    """Return the calls that threads make in a scenario, in words: "`s.add(1)`, `s.clear()` of `pkg.Table(16)`".

    A scenario lists, for each kind of thread, a row of calls. `s` in a call is the object that is called on, and
    `scenario.make` the expression that makes this object, here `pkg.Table(16)`; it is None for calls without one.

    Calls come as Markdown code, those of the functions at fault first, each once. After `_MAX_CALLS` the others are
    only counted, and a long `make` is cut. Without a scenario (None), the calls were made by the package's own tests.

    Args:
        scenario: what threads do.
        functions: dotted names of the functions at fault.
    """
    if scenario is None:
        return "calls of the package's own tests"

    calls: dict[str, None] = {}
    for row in scenario.rows:
        for expression, _ in row:  # skips the result to compare with
            if not expression.startswith(_HARNESS_CALLS):
                calls[f"`{clean_call(expression)}`"] = None
    if not calls:  # nothing but what the harness does, such as copying
        calls = {f"`{clean_call(row[0][0])}`": None for row in scenario.rows if row}

    words = [name.rpartition(".")[2] for name in functions]
    ranked = sorted(calls, key=lambda call: not _names_any(call, words))
    description = ", ".join(ranked[:_MAX_CALLS])
    if len(ranked) > _MAX_CALLS:
        description += f" and {len(ranked) - _MAX_CALLS} more calls"
    if scenario.make:
        description += f" of {describe_making(scenario.make)}"
    if scenario.source:
        description += f", as in {scenario.source}"

    return description


def describe_making(make: str) -> str:
    """Return how an object is made, in words: "`Box()`", "`Box()`, after `s.put(1)`".

    What was done to it before is what `values.after(Box(), lambda s: s.put(1))` says.
    """
    _, is_prepared, inner = make.partition("values.after(")
    if not is_prepared or make.partition("values.after(")[0]:
        return f"`{clean_call(make)[:_MAX_MAKE_CHARS]}`"

    maker, *steps = inner.removesuffix(")").split(", lambda s: ")
    made = f"`{clean_call(maker)[:_MAX_MAKE_CHARS]}`"
    if not steps:
        return made

    calls = [f"`{clean_call(step)[:_MAX_MAKE_CHARS]}`" for step in steps]
    return f"{made}, after {join_names(calls, _MAX_STEPS)}"


def clean_call(expression: str) -> str:
    """Return a call as a person would write it: `s.get(values.Slow('k'))` -> `s.get('k')`.

    What changes an object while it is asked is said to: `s.get(values.Reentrant('k', s, lambda s: s.clear()))` ->
    `s.get('k' that calls s.clear())`.
    """
    expression = _name_reentrant(expression)
    for pattern, replacement in _STAND_INS:
        expression = pattern.sub(replacement, expression)

    return expression


def _name_reentrant(expression: str) -> str:
    """Return a call in which values that call back are said to do so."""
    before, separator, rest = expression.partition("values.Reentrant(")
    if not separator:
        return expression

    depth = 1
    end = 0
    while end < len(rest) and depth:
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    key, _, step = rest[: end - 1].partition(", s, lambda s: ")
    if depth or not step:  # cut, or written by somebody else
        return expression

    return f"{before}{key} that calls {step}{_name_reentrant(rest[end:])}"


def find_natives(harm: Harm) -> list[str]:
    """Return the native callables that the calls of a harm name; all that these reach where they name none."""
    texts = [text for row in harm.calls.rows for text, _ in row]
    named = []
    for native in harm.calls.natives:
        word = native.rpartition(".")[2]
        if any(_names_any(text, [word]) for text in texts):
            named.append(native)

    return named or list(harm.calls.natives)


def _names_any(text: str, words: Iterable[str]) -> bool:
    """Return whether a call has one of these names in it; special methods are called by operators."""
    for word in words:
        plain = word.strip("_") if word.startswith("__") else word
        if plain and re.search(rf"(?<!\w){re.escape(plain)}(?!\w)", text):
            return True

    return False


def list_functions(sides: Iterable[Side]) -> tuple[str, ...]:
    """Return the dotted names of the package's functions behind an event."""
    return tuple(dict.fromkeys(side.function for side in sides if side.kind != "builtin"))


def describe_variants(variants: Variants) -> str:
    """Return in which variants of the program it shows too: with the GIL on, with an object for each thread.

    Of the second, also how often it was tried in vain.
    """
    clauses = ""
    if was_shown(variants.gil):
        clauses += "; it happens with the GIL on too"
    if was_shown(variants.private):
        clauses += (
            "; it happens with an object for each thread too: what they share is the module's"
        )
    elif variants.private is not None:
        clauses += f"; with nothing shared 0 of {variants.private[1]} times"

    return clauses


def list_changing(races: Iterable[Race]) -> tuple[str, ...]:
    """Return the dotted names of the few functions that change or free what others only use.

    Empty where these are not told apart, are many, or are none that a user calls: then no order of calls avoids it.
    """
    changing: dict[str, None] = {}
    using: set[str] = set()
    for race in races:
        for side in race.sides:
            changes = side.access in {"write", "free"}
            if side.kind == "builtin" or (changes and side.kind not in {"function", "call"}):
                return ()
            if changes:
                changing[side.function] = None
            else:
                using.add(side.function)

    has_readers = not using <= set(changing)
    return tuple(changing) if has_readers and len(changing) <= _MAX_CHANGING else ()


def count_shown(shown: int | None, ran: int | None) -> tuple[int, int] | None:
    """Return how often a program showed something again, of how many times; None where there was none."""
    return (shown, ran or shown) if shown else None


def describe_counts(shown: int | None, ran: int | None) -> str:
    """Return how often a program showed something again; empty where it never did."""
    return f" (shown again {shown} of {ran} times)" if shown else ""
