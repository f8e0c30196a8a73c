"""Import a distribution once, then run lists of scenarios, each in a process forked from this one.

Usage: python -m inside.stress.forkserver PRELUDE.json

The file has `modules` and `immortal` (whether shared objects live for ever: see immortal.py). Requests come on standard
input, a line of JSON each: `scenarios` (a file), `progress` (a file), `prefix`, `output` (a file), `first`, `rounds`,
`seconds`, `longest` (seconds for one scenario). A line answers with `pid` when a process begins, another with `status`
when it ended.

A line goes to `progress` before each scenario (`begin`) and after it (`end`, with `seconds`, `errors`, `wrong`, `gil`
and, where a sanitizer writes to PREFIX.PID, `reports`: how much it had written before and after, in bytes). Where there
is no time for a scenario, a line has `late`, and is the last one.
"""

import copy
import faulthandler
import gc
import importlib
import itertools
import json
import operator
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import memory, values
from .harness import is_gil_enabled, run_rounds
from .immortal import make_callables_immortal, make_immortal

_SWITCH_S = 0.0005  # with the GIL, a tenth of the usual time between two threads' turns: they meet more often
_LONGEST_ERROR = 200  # characters

MakeImmortal = Callable[[Any], Any]


def main() -> None:
    """Import the modules once, and then fork a process for every line of standard input."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    is_immortal = asked["immortal"]
    if not is_immortal:  # only the sanitizer's interpreter asks for it, and that takes no limit
        memory.limit_address_space()
    namespace = build_namespace(asked["modules"])
    if is_immortal:
        make_callables_immortal(asked["modules"])

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run_scenarios(json.loads(line), namespace, make_immortal if is_immortal else None)
        # Only the server comes here: `run_scenarios` ends its process.
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def run_scenarios(
    request: dict[str, Any], namespace: dict[str, Any], make_immortal: MakeImmortal | None
) -> None:
    """Run a list of scenarios until all are done or the time is up, then end this (forked) process.

    Args:
        request: one line of standard input, as the top of this file describes it.
        namespace: names that the scenarios' expressions may use.
        make_immortal: takes objects that threads share out of reference counting; None to leave them as they are.
    """
    os.setpgid(0, 0)  # so that what a scenario starts can be ended with it
    _redirect_output(request["output"])
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sys.setswitchinterval(_SWITCH_S)

    crew = Crew()
    report_file = Path(f"{request['prefix']}.{os.getpid()}")
    deadline = time.monotonic() + request["seconds"]
    scenarios = json.loads(Path(request["scenarios"]).read_text())
    with Path(request["progress"]).open("a", buffering=1) as progress:
        for scenario in scenarios[request["first"] :]:
            if time.monotonic() > deadline:
                progress.write(json.dumps({"late": scenario["id"]}) + "\n")
                break
            progress.write(json.dumps({"begin": scenario["id"]}) + "\n")

            before, began = _size(report_file), time.monotonic()
            errors, wrong = play(scenario, namespace, request, crew, make_immortal)
            ended = {
                "end": scenario["id"],
                "seconds": round(time.monotonic() - began, 3),
                "errors": errors,
                "wrong": wrong,
                "reports": [before, _size(report_file)],
                "gil": is_gil_enabled(),
            }
            progress.write(json.dumps(ended) + "\n")

    sys.stderr.flush()
    os._exit(0)  # what was called may have left threads and handlers that end badly


def _redirect_output(path: str) -> None:
    """Send the output of this process to a file, and what Python code prints to nowhere.

    The file thus has what the fault handler and the C library write: the stacks after a crash.
    """
    sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(sink, descriptor)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print


class Crew:
    """Threads that are used again and again: making one takes milliseconds under a sanitizer."""

    def __init__(self) -> None:
        self._inboxes: list[queue.SimpleQueue[Callable[[int], None]]] = []
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __call__(self, work: Callable[[int], None], count: int) -> None:
        """Run `work` in that many threads at the same time, each with its number (0, 1, ...), and wait for them."""
        while len(self._inboxes) < count:
            number = len(self._inboxes)
            self._inboxes.append(queue.SimpleQueue())
            threading.Thread(target=self._serve, args=(number,), daemon=True).start()

        for inbox in self._inboxes[:count]:
            inbox.put(work)
        for _ in range(count):
            self._done.get()

    def _serve(self, number: int) -> None:
        """Wait for functions to run, in the thread of this number, for as long as the process lives."""
        while True:
            work = self._inboxes[number].get()
            try:
                work(number)
            finally:
                del work  # it holds the subject, which is to end with its round
                self._done.put(None)


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def build_namespace(prelude: list[str]) -> dict[str, Any]:
    """Return the names that expressions may use: the package's modules, and those that every script imports.

    Args:
        prelude: modules of the package to import. One that cannot be imported is skipped: only the expressions that
            need it fail.
    """
    namespace: dict[str, Any] = {name: importlib.import_module(name) for name in values.STANDARD}
    namespace |= {
        "values": values,
        "operator": operator,
        "itertools": itertools,
        "copy": copy,
        "pickle": pickle,
        "gc": gc,
    }
    for name in prelude:
        try:
            importlib.import_module(name)
        except BaseException:  # a module may exit
            continue
        root = name.partition(".")[0]
        namespace[root] = sys.modules[root]

    return namespace


def play(
    scenario: dict[str, Any],
    namespace: dict[str, Any],
    request: dict[str, Any],
    crew: Crew,
    make_immortal: MakeImmortal | None,
) -> tuple[dict[str, int], list[str]]:
    """Run one scenario: its threads make their calls, in as many rounds as are asked for.

    Args:
        scenario: the scenario, as scenarios.py describes it.
        namespace: names that the scenario's expressions may use.
        request: has `rounds`, and `longest`, the seconds after which the calls are cut short.
        crew: runs the threads.
        make_immortal: takes objects that threads share out of reference counting; None to leave them as they are.

    Returns:
        Exceptions by text, with how often each was met; and sentences about wrong results.
    """

    def compile_call(text: str) -> Callable[[Any, Any], Any]:
        call: Callable[[Any, Any], Any] = eval(f"lambda s, a: {text}", namespace)
        return call

    def compile_maker(text: str | None) -> Callable[[], Any]:
        maker: Callable[[], Any] = eval(f"lambda: {text}", namespace)
        return maker

    rows = []
    for row in scenario["rows"]:
        rows.append([(text, compile_call(text), result) for text, result in row])

    try:
        errors, wrong = run_rounds(
            compile_maker(scenario["make"]),
            compile_maker(scenario["argument"]),
            rows,
            [compile_call(text) for text in scenario["observe"]],
            threads=scenario["threads"],
            iterations=scenario["iterations"],
            rounds=1 if scenario.get("once") else request["rounds"],
            sharing=scenario["sharing"],
            crew=crew,
            make_immortal=make_immortal,
            longest_s=request["longest"],
        )
    except Exception as error:  # an expression cannot be compiled, or the subject cannot be made
        return {f"setup: {type(error).__name__}: {error}"[:_LONGEST_ERROR]: 1}, []

    return errors, wrong


if __name__ == "__main__":
    main()
