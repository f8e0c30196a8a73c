"""Scenario -> a program of its own, which needs nothing but an interpreter and the package."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..calls import values
from ..play import delays, harness
from ..process import immortal

_TEMPLATE = '''"""{title}

{needs}
It ends with exit code 1 when a result was wrong. A crash, a hang or a sanitizer's report speaks for itself.
"""

{imports}

THREADS = {threads}
ITERATIONS = {iterations}
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else {rounds}
LONGEST_S = float(os.environ.get("WHEELFARM_LONGEST_S", "inf"))  # what still makes calls then is cut short
LEAST_S = {least}  # further rounds follow until then
SHARING = {sharing!r}  # what the threads share: {explained}


def make(a=None):
    """Make what the calls are made on; of `a` where the threads share a component of it."""
    return {make}


def argument():
    """Make the argument that the calls share."""
    return {argument}


# Thread t makes the calls of row t modulo the number of rows, over and over.
ROWS = [
{rows}]
OBSERVERS = [
{observers}]

{values}
{harness}
{immortal}{delays}

if __name__ == "__main__":
    faulthandler.enable()
    sys.setswitchinterval(0.0005)
{prepare}{fork}    errors, wrong = run_rounds(
        make, argument, ROWS, OBSERVERS, threads=THREADS, iterations=ITERATIONS, rounds=ROUNDS, sharing=SHARING,
        longest_s=LONGEST_S, least_s=LEAST_S{more}
    )
    for sentence in wrong:
        print("WRONG:", sentence)
    for text, count in errors.items():
        print("EXCEPTION:", text, f"({{count}} times)")
    print("GIL:", "on" if is_gil_enabled() else "off")
    sys.stdout.flush()
    os._exit(1 if wrong else 0)
'''

_NEEDS_PLAIN = "Run it with the free-threaded interpreter: python3.14t {name} [ROUNDS]"
_NEEDS_RACE = """Run it with an interpreter and a package that were compiled with ThreadSanitizer:
python3.14t {name} [ROUNDS]
Without that it shows nothing: `wheelfarm replay ID` has both."""

_LEAST = 'float(os.environ.get("WHEELFARM_LEAST_S", "2"))'
"""How a program finds out for how many seconds it makes further rounds: proofs count what a number of rounds shows."""

_FORK = """    # What is done once in a process is tried in many, forked from this one, which makes no call.
    tried, ends = 0, now() + LEAST_S
    while tried < ROUNDS or now() < ends:
        tried += 1
        if (child := os.fork()) == 0:
            break
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended < 0:
            os.kill(os.getpid(), -ended)
        if ended:
            os._exit(ended)
    else:
        os._exit(0)
    ROUNDS, LEAST_S = 1, 0
"""

_EXPLAINED = {
    "shared": "one object for all of them",
    "private": "nothing, each has an object of its own",
    "series": "one object for all of them at every step",
    "fresh": "nothing, each call has an object of its own",
    "distinct": "nothing, each call has an object of its own",
    "separate": "nothing, each has an object of its own",
    "argument": "the argument; each has an object of its own",
    "component": "what their objects are made of; each has an object of its own",
}

_ALWAYS_IMPORTED = ("faulthandler", "itertools", "os", "sys", "threading", "time")
_IMPORTED_IF_NAMED = ("copy", "gc", "operator", "pickle", *values.STANDARD)

_VALUES: tuple[type | Callable[..., Any], ...] = (
    values.Slow,
    values.SlowIndex,
    values.SlowEnd,
    values.SlowBuffer,
    values.Reentrant,
    values.ReentrantItems,
    values.Anything,
    values.Owner,
    values.own,
    values.Meeting,
    values.join,
    values.after,
    values.Collecting,
    values.locked,
)
"""What calls may name of values.py, in an order in which each stands after what it needs."""

_HARNESS = (
    harness.run_rounds,
    harness.run_round,
    harness.begin_together,
    harness.learn_results,
    harness.ask_all,
    harness.ask_alone,
    harness.drop_unsteady,
    harness.describe_wrong,
    harness.count_returned,
    harness.run_in_threads,
    harness.hand_out,
    harness.is_one_object,
    harness.run_alone,
    harness.observe,
    harness.show,
    harness.is_gil_enabled,
)


def render(
    scenario: dict[str, Any],
    prelude: list[str],
    *,
    title: str,
    name: str,
    rounds: int,
    race: bool = False,
    companions: Sequence[str] = (),
) -> str:
    """Return the source of the program that runs a scenario.

    Args:
        scenario: one of scenarios.py.
        prelude: modules of the package to import.
        title: the program's first line.
        name: the program's file name.
        rounds: how many rounds it does when its command line does not say.
        race: whether it is for a race detector: then the objects that threads share are made immortal (immortal.py).
        companions: modules of other packages that have to be imported before those.
    """
    expressions = "\n".join(_collect_expressions(scenario))
    packages = find_packages(prelude, expressions)

    rows = [_render_row(row) for row in scenario["rows"]]
    observers = [f"    lambda s, a: {unqualify(text)},\n" for text in scenario["observe"]]
    # A callback waits for another thread: it goes on, or it does not, and further rounds show no more.
    is_meeting = scenario["kind"] == "meeting"
    is_forked = scenario.get("once") and not is_meeting

    needs = _NEEDS_RACE if race else _NEEDS_PLAIN
    more = ", make_immortal=make_immortal" if race else ""
    plan = scenario.get("delays")
    if plan:
        more += f",\n        delays=Delays({plan!r}, {packages!r})"
    if is_forked or is_meeting:  # what is made once cannot be made before
        more += ", learns=False"
    return _TEMPLATE.format(
        needs=needs.format(name=name),
        title=title.replace("\\", "\\\\").replace('"', "'"),
        name=name,
        imports=_render_imports(
            expressions, [*companions, *packages], has_ctypes=race or bool(plan)
        ),
        threads=scenario["threads"],
        iterations=scenario["iterations"],
        rounds=1 if is_meeting else rounds,
        least="0" if is_meeting else _LEAST,
        sharing=scenario["sharing"],
        explained=_EXPLAINED[scenario["sharing"]],
        make=unqualify(scenario["make"] or "None"),
        argument=unqualify(scenario["argument"] or "None"),
        rows="".join(rows),
        observers="".join(observers),
        values=render_values(expressions),
        harness=_render_harness(),
        immortal=_render_immortal() if race else "",
        delays=_render_delays() if plan else "",
        prepare=f"    make_callables_immortal({packages!r})\n" if race else "",
        fork=_FORK if is_forked else "",
        more=more,
    )


def _collect_expressions(scenario: dict[str, Any]) -> list[str]:
    """Return every expression of a scenario: what makes its objects, its calls and its observers."""
    texts = [scenario["make"] or "", scenario["argument"] or "", *scenario["observe"]]
    for row in scenario["rows"]:
        texts += [text for text, _ in row]

    return texts


def find_packages(prelude: list[str], expressions: str) -> list[str]:
    """Return the package's modules that expressions name, each with its root, sorted.

    `pkg.sub.Table()` -> `pkg`, `pkg.sub`: a module is an attribute of its parent only once it was imported.

    Args:
        prelude: all modules of the package.
        expressions: the scenario's expressions, one a line.
    """
    named = {module for module in prelude if re.search(rf"\b{re.escape(module)}\b", expressions)}
    roots = {module.partition(".")[0] for module in named}

    return sorted(roots | named)


def _render_imports(expressions: str, packages: list[str], *, has_ctypes: bool) -> str:
    """Return the program's import statements.

    Args:
        expressions: the scenario's expressions, one a line: modules of the standard library are imported if they are
            named.
        packages: modules to import beside it, in their order.
        has_ctypes: whether the program makes objects immortal or delays threads.
    """
    modules = set(_ALWAYS_IMPORTED)
    for module in _IMPORTED_IF_NAMED:
        if re.search(rf"\b{module}\.", expressions):
            modules.add(module)
    if "values." in expressions:
        modules.add("gc")
    if has_ctypes:
        modules.add("ctypes")

    standard = [f"import {module}" for module in sorted(modules)]
    own = [f"import {module}" for module in packages]
    return "\n".join([*standard, "", *own])


def _render_row(row: list[tuple[str, str | None]]) -> str:
    """Return the source of a row: a list with a tuple (text, function, result alone) for each call."""
    calls = []
    for text, result in row:
        calls.append(f"        ({text!r}, lambda s, a: {unqualify(text)}, {result!r}),\n")

    return f"    [\n{''.join(calls)}    ],\n"


def unqualify(text: str) -> str:
    """Return an expression in which the classes of values.py, whose source the program has, stand by themselves."""
    return re.sub(r"(?<![\w.])values\.", "", text)


def render_values(expressions: str) -> str:
    """Return the source of the classes and functions of values.py that expressions name; empty where they name none."""
    named = [value for value in _VALUES if f"values.{value.__name__}" in expressions]
    if not named:
        return ""
    if values.ReentrantItems in named and values.Reentrant not in named:
        named.insert(0, values.Reentrant)
    if values.own in named:
        named.insert(0, values.Owner)
    named = list(dict.fromkeys(named))

    sources = "\n\n".join(inspect.getsource(value) for value in named)
    header = f"from collections.abc import Callable, Iterator\n\nPATIENCE = {values.PATIENCE}"
    return f"{header}\n\n\n{sources}\n"


def _render_harness() -> str:
    """Return the source of harness.py that the program needs: its constants and functions."""
    constants = [
        "now, pause = time.perf_counter, time.sleep",
        f"TICK_S = {harness.TICK_S}  # threads that are ready begin at the next multiple of this",
        f"SLOW_PART = {harness.SLOW_PART}  # of the time that a round may take: the longest call",
        f"LONGEST_CALL = {harness.LONGEST_CALL}  # characters of a call in a sentence about it",
        f"ASKED_AGAIN_S = {harness.ASKED_AGAIN_S}  # how long calls whose results were wrong are made alone",
        f"LONGEST_TEXT = {harness.LONGEST_TEXT}  # characters of a value that is compared",
        f"GUARDED = {harness.GUARDED}  # ways of sharing that take objects of each thread's own",
    ]
    sources = "\n\n".join(inspect.getsource(function) for function in _HARNESS)
    return "\n".join(constants) + "\n\n\n" + sources


def _render_immortal() -> str:
    """Return the source of immortal.py that the program needs: its constants and functions."""
    constants = [
        f"WITHOUT_GIL = {immortal.WITHOUT_GIL}  # bytes of an object's head where there is no GIL",
        f"LOCAL, SHARED = {immortal.LOCAL}, {immortal.SHARED}  # where its two counts of references are",
    ]
    sources = [
        inspect.getsource(immortal.make_immortal),
        inspect.getsource(immortal.make_callables_immortal),
    ]
    return "\n\n".join(["", "\n".join(constants), "", *sources])


def _render_delays() -> str:
    """Return the source of delays.py that the program needs."""
    return f"\n\nLIBRARY = {delays.LIBRARY!r}\n\n\n{inspect.getsource(delays.Delays)}"
