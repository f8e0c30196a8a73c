"""Scenario -> a program of its own, which needs nothing but an interpreter and the package."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from . import harness, immortal, values

_TEMPLATE = '''"""{title}

Run it with the free-threaded interpreter: python3.14t {name} [ROUNDS]
It ends with exit code 1 when a result was wrong. A crash, a hang or a sanitizer's report speaks for itself.
"""

{imports}

THREADS = {threads}
ITERATIONS = {iterations}
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else {rounds}
LONGEST_S = float(os.environ.get("WHEELFARM_LONGEST_S", "inf"))  # what still makes calls then is cut short
SHARING = {sharing!r}  # what the threads share: {explained}


def make():
    """Make what the calls are made on."""
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
{drill}
{keeping}

if __name__ == "__main__":
    faulthandler.enable()
    sys.setswitchinterval(0.0005)
{kept}{once}    errors, wrong = drill(
        make, argument, ROWS, OBSERVERS, threads=THREADS, iterations=ITERATIONS, rounds=ROUNDS, sharing=SHARING,
        longest_s=LONGEST_S{keep}
    )
    for sentence in wrong:
        print("WRONG:", sentence)
    for text, count in errors.items():
        print("EXCEPTION:", text, f"({{count}} times)")
    print("GIL:", "on" if gil_enabled() else "off")
    sys.stdout.flush()
    os._exit(1 if wrong else 0)
'''

_ONCE = """    # What is done once in a process is tried in many, forked from this one, which makes no call.
    for _ in range(ROUNDS):
        if (child := os.fork()) == 0:
            break
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended < 0:
            os.kill(os.getpid(), -ended)
        if ended:
            os._exit(ended)
    else:
        os._exit(0)
    ROUNDS = 1
"""

_KEPT = """    keep_callables({packages!r})
"""

_EXPLAINED = {
    "shared": "one object for all of them",
    "private": "nothing, each has an object of its own",
    "series": "one object for all of them at every step",
    "fresh": "nothing, each call has an object of its own",
}
_USUAL = ("copy", "gc", "itertools", "operator", "pickle", *values.STANDARD)


def render(
    scenario: dict[str, Any],
    prelude: list[str],
    *,
    title: str,
    name: str,
    rounds: int,
    race: bool = False,
) -> str:
    """Return the program for a scenario.

    Args:
        scenario: one of scenarios.py.
        prelude: modules of the package to import.
        title: its first line.
        name: its file name.
        rounds: how many rounds it does when not told.
        race: whether it is for a race detector: then what threads share lives for ever.
    """
    texts = [
        scenario["make"] or "",
        scenario["argument"] or "",
        *scenario["observe"],
        *(text for row in scenario["rows"] for text, _ in row),
    ]
    body = "\n".join(texts)
    usual = [module for module in _USUAL if re.search(rf"\b{module}\.", body)]
    packages = [module for module in prelude if re.search(rf"\b{re.escape(module)}\b", body)]
    # A module reached as an attribute of its parent is there only once it was imported.
    roots = {module.partition(".")[0] for module in packages}
    packages = sorted(roots | set(packages))
    needed = sorted(
        {
            "faulthandler",
            "os",
            "sys",
            "threading",
            "time",
            *usual,
            *(["gc"] if "values." in body else []),
            *(["ctypes"] if race else []),
        }
    )
    imports = "\n".join(
        [
            *(f"import {module}" for module in needed),
            "",
            *(f"import {module}" for module in packages),
        ]
    )
    return _TEMPLATE.format(
        title=title.replace("\\", "\\\\").replace('"', "'"), name=name, imports=imports, threads=scenario["threads"], iterations=scenario["iterations"],
        rounds=1 if scenario["kind"] == "meeting" else rounds, sharing=scenario["sharing"], explained=_EXPLAINED[scenario["sharing"]],
        make=_own(scenario["make"]), argument=_own(scenario["argument"]),
        rows="".join(f"    [\n{''.join(_row(text, result) for text, result in row)}    ],\n" for row in scenario["rows"]),
        observers="".join(f"    lambda s, a: {_own(text)},\n" for text in scenario["observe"]),
        values=_classes(body), drill=_functions(), keeping=_keeping() if race else "", kept=_KEPT.format(packages=packages) if race else "",
        keep=", keep=keep" if race else "", once=_ONCE if scenario.get("once") and scenario["kind"] != "meeting" else "",
    )  # fmt: skip


def _row(text: str, result: str | None) -> str:
    return f"        ({text!r}, lambda s, a: {_own(text)}, {result!r}),\n"


def _own(text: str | None) -> str:
    return re.sub(r"(?<![\w.])values\.", "", text or "None")


def _classes(body: str) -> str:
    wanted: list[type | Callable[..., Any]] = [
        values.Slow,
        values.SlowIndex,
        values.SlowEnd,
        values.SlowBuffer,
        values.Meeting,
        values.join,
        values.Collecting,
    ]
    used = [one for one in wanted if f"values.{one.__name__}" in body]
    text = "\n\n".join(inspect.getsource(one) for one in used)
    return (
        f"from collections.abc import Callable\n\nPATIENCE = {values.PATIENCE}\n\n\n{text}\n"
        if used
        else ""
    )


def _keeping() -> str:
    constants = (
        f"WITHOUT_GIL = {immortal.WITHOUT_GIL}\nLOCAL, SHARED = {immortal.LOCAL}, {immortal.SHARED}"
    )
    return "\n\n".join(
        [
            "",
            constants,
            "",
            inspect.getsource(immortal.keep),
            inspect.getsource(immortal.keep_callables),
        ]
    )


def _functions() -> str:
    return f"TICK_S = {harness.TICK_S}\nLOOK_EVERY = {harness.LOOK_EVERY}\n\n\n" + "\n\n".join(
        inspect.getsource(one)
        for one in (
            harness.drill,
            harness.one_round,
            harness.in_threads,
            harness.alone,
            harness.observed,
            harness.shown,
            harness.gil_enabled,
        )
    )
