"""Import a distribution once, then run lists of scenarios, each in a process forked from this one.

Usage: python -m inside.stress.play.forkserver, asked as inside.supervise.witness says.

The request has `modules`, `site` and `immortal` (whether shared objects live for ever: see immortal.py). More follow:
`scenarios`, `first`, `rounds`, `seconds`, `longest` (seconds for one scenario), `marks` and `token`. An answer has
`pid` when a process begins, another has `status` when it ended.

That process says before each scenario `begin` and after it `end`, with `seconds`, `errors`, `wrong`, `returned` and
`gil`. Where there is no time for a scenario, it says `late`, and nothing more. Its last record is the closing one. With
`marks`, a line with the token and the scenario's place goes to standard error at the end of each: what a sanitizer
wrote there before is of that scenario.

A request with `functions` in place of `scenarios` is answered by records with the native functions of each file
(method_tables.py). All processes have the files where the server has them, for they are forked from it.
"""

import builtins
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

from ...supervise.witness import (
    GilReader,
    Witness,
    add_site,
    find_gil,
    hide_programs,
    make_gil_reader,
    open_requests,
    read_request,
)
from ..calls import values
from ..calls.method_tables import list_native_functions
from ..calls.surface import Surface
from ..process import memory
from ..process.immortal import make_callables_immortal, make_immortal
from .harness import run_rounds

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_SWITCH_S = 0.0005  # with the GIL, a tenth of the usual time between two threads' turns: they meet more often
_LONGEST_ERROR = 200  # characters

# Bound before a package is imported, which may replace them in their modules.
_end, _fork, _wait, _write = os._exit, os.fork, os.waitpid, os.write
_decode, _now = json.loads, time.monotonic

MakeImmortal = Callable[[Any], Any]


def main() -> None:
    """Import the modules once, and then fork a process for every request."""
    requests = open_requests()
    asked = read_request(requests)
    answers = Witness(asked["token"], asked["answers"])
    answers.write({"gil_at": find_gil()})
    os.read(asked["looked"], 1)  # the supervisor has a first look
    prelude: list[str] = asked["request"]["modules"]
    is_immortal: bool = asked["request"]["immortal"]
    if not is_immortal:  # only the sanitizer's interpreter asks for it, and that takes no limit
        memory.limit_address_space()

    is_gil_enabled = make_gil_reader()
    add_site(asked["request"]["site"])
    hide_programs("values")  # objects of its classes are pickled by name
    namespace = build_namespace(prelude)
    if is_immortal:
        make_callables_immortal(prelude)

    for line in requests:
        pid = _fork()
        if pid == 0:
            request = _decode(line)
            witness = Witness(request["token"], asked["descriptor"], looked=asked["looked"])
            if "functions" in request:
                report_functions(prelude, asked["request"]["site"], witness)
            make = make_immortal if is_immortal else None
            run_scenarios(request, namespace, make, witness, is_gil_enabled)
        # Only the server comes here: `run_scenarios` ends its process.
        answers.write({"pid": pid})
        _, status = _wait(pid, 0)
        answers.write({"status": os.waitstatus_to_exitcode(status)})


def report_functions(prelude: list[str], site: str, witness: Witness) -> None:
    """Say which native function is which callable of Python, then end this (forked) process.

    Args:
        prelude: modules of the package.
        site: the folder that the package is installed in.
        witness: takes a record for each file.
    """
    os.setpgid(0, 0)
    for file in list_native_functions(Surface(prelude), site):
        witness.write(file)
    witness.close()
    _end(0)


def run_scenarios(
    request: dict[str, Any],
    namespace: dict[str, Any],
    make_immortal: MakeImmortal | None,
    witness: Witness,
    is_gil_enabled: GilReader,
) -> None:
    """Run a list of scenarios until all are done or the time is up, then end this (forked) process.

    Args:
        request: one request, as the top of this file describes it.
        namespace: names that the scenarios' expressions may use.
        make_immortal: takes objects that threads share out of reference counting; None to leave them as they are.
        witness: takes what is to be said of them.
        is_gil_enabled: tells whether the GIL is on.
    """
    os.setpgid(0, 0)  # so that what a scenario starts can be ended with it
    _redirect_output()
    # The number of the descriptor: `sys.stderr` may be another one by now.
    faulthandler.enable(2)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=True)
    sys.setswitchinterval(_SWITCH_S)

    crew = Crew()
    deadline = _now() + request["seconds"]
    first: int = request["first"]
    for place, scenario in enumerate(request["scenarios"][first:], first):
        if _now() > deadline:
            witness.write({"late": scenario["id"]})
            break
        witness.write({"begin": scenario["id"]})

        began = _now()
        errors, wrong, returned = play(scenario, namespace, request, crew, make_immortal)
        if request["marks"]:
            _write(2, f"\n{request['token']} {place}\n".encode())
        witness.write(
            {
                "end": scenario["id"],
                "seconds": round(_now() - began, 3),
                "errors": errors,
                "wrong": wrong,
                "returned": returned,
                "gil": is_gil_enabled() is not False,
            }
        )

    witness.show()
    witness.close()
    _end(0)  # what was called may have left threads and handlers that end badly


def _redirect_output() -> None:
    """Send what Python code prints to nowhere, and leave standard error to the fault handler, C code and a sanitizer.

    It thus has the stacks after a crash.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
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
) -> tuple[dict[str, int], list[str], list[str]]:
    """Run one scenario: its threads make their calls, in as many rounds as are asked for.

    Args:
        scenario: the scenario, as scenarios.py describes it.
        namespace: names that the scenario's expressions may use.
        request: has `rounds`, and `longest`, the seconds after which the calls are cut short.
        crew: runs the threads.
        make_immortal: takes objects that threads share out of reference counting; None to leave them as they are.

    Returns:
        Exceptions by text, with how often each was met; sentences about wrong results; and the calls that returned in
        more than one thread.
    """

    def compile_call(text: str) -> Callable[[Any, Any], Any]:
        call: Callable[[Any, Any], Any] = eval(f"lambda s, a: {text}", namespace)
        return call

    def compile_maker(text: str | None) -> Callable[..., Any]:
        # `a` is the component that subjects are made of, where they share one.
        maker: Callable[..., Any] = eval(f"lambda a=None: {text}", namespace)
        return maker

    rows = []
    for row in scenario["rows"]:
        rows.append([(text, compile_call(text), result) for text, result in row])

    counts: dict[str, int] = {}
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
            learns=not scenario.get("once"),
            returned=counts,
        )
    except Exception as error:  # an expression cannot be compiled, or the subject cannot be made
        return {f"setup: {type(error).__name__}: {error}"[:_LONGEST_ERROR]: 1}, [], []

    returned = [text for text, count in counts.items() if count > 1]
    return errors, wrong, returned


if __name__ == "__main__":
    main()
