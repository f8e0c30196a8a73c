"""Scenario -> the program that people read: threads, a barrier, a loop, and the calls.

script.py writes the program that is run for the record: it compares results, notes exceptions and keeps time. This one
is to be understood at a glance, and pasted into an issue.
"""

import re
from typing import Any

from .script import find_packages, render_values, unqualify

_TEMPLATE = '''"""{title}

{needs}
"""

{imports}

THREADS = {threads}
CALLS = [{calls}]


def work(number, barrier, s, a):
    barrier.wait()
    for _ in range({iterations}):
{subject}        try:
            {call}
        except Exception:
            pass  # what calls raise is not the point


for _ in range({rounds}):
    barrier, s, a = threading.Barrier(THREADS), {make}, {argument}
    threads = [
        threading.Thread(target=work, args=(number, barrier, s, a)) for number in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
{end}'''

_NEEDS_RACE = """It takes CPython 3.14 compiled with --disable-gil --with-thread-sanitizer, and {packages} compiled with
-fsanitize=thread: ThreadSanitizer then writes a report. Any other interpreter ends without a word."""
_NEEDS_PLAIN = "It takes python3.14t (CPython without the GIL) and {packages}."

_SIMPLE = frozenset({"shared", "fresh", "private", "distinct"})
_MOST_CALLS = 8  # more would not be read


def render(
    scenario: dict[str, Any], prelude: list[str], *, title: str, rounds: int, race: bool
) -> str:
    """Return the source of a short program that runs a scenario; empty where the scenario is not that simple.

    Args:
        scenario: one of scenarios.py.
        prelude: modules of the package to import.
        title: the program's first line.
        rounds: how often it starts threads.
        race: whether it takes a race detector to see anything.
    """
    rows = scenario["rows"]
    count = sum(len(row) for row in rows)
    is_simple = scenario["sharing"] in _SIMPLE and not scenario.get("once")
    if not is_simple or count > _MOST_CALLS or scenario["kind"] == "meeting":
        return ""

    make = scenario["make"] or "None"
    argument = scenario["argument"] or "None"
    texts = [text for row in rows for text, _ in row]
    expressions = "\n".join([make, argument, *texts])
    packages = find_packages(prelude, expressions)
    modules = {"threading"}
    for module in ("array", "collections", "copy", "datetime", "decimal", "fractions", "gc", "io", "itertools",
                   "math", "operator", "pickle", "time", "uuid"):  # fmt: skip
        if re.search(rf"\b{module}\.", expressions):
            modules.add(module)
    stand_ins = render_values(expressions)
    if stand_ins:
        modules |= {"gc", "time"}

    imports = [f"import {module}" for module in sorted(modules)]
    if packages:
        imports += ["", *(f"import {module}" for module in packages)]
    if stand_ins:
        imports += ["", stand_ins.rstrip()]

    compares = any(result is not None for row in rows for _, result in row)
    call = "CALLS[number % len(CALLS)](s, a)"
    if compares:
        call = f"seen.add(repr({call}))"
        imports += ["", "seen = set()  # results; in one thread there is one for each call"]
    needs = (_NEEDS_RACE if race else _NEEDS_PLAIN).format(packages=" and ".join(packages[:1]))
    subject = ""
    if scenario["sharing"] != "shared" and scenario["make"]:
        subject = f"        s = {unqualify(make)}  # of this thread alone\n"

    return _TEMPLATE.format(
        title=title.replace("\\", "\\\\").replace('"', "'"),
        needs=needs,
        imports="\n".join(imports),
        threads=scenario["threads"],
        calls=", ".join(f"lambda s, a: {_write_row(row)}" for row in rows),
        iterations=scenario["iterations"],
        subject=subject,
        call=call,
        rounds=rounds,
        make=unqualify(make),
        argument=unqualify(argument),
        end='print("WRONG:" if len(seen) > len(CALLS) else "", seen)\n' if compares else "",
    )


def _write_row(row: list[Any]) -> str:
    """Return the calls of one kind of thread as one expression."""
    texts = [unqualify(text) for text, _ in row]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
