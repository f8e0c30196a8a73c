"""Import a distribution once, then run lists of scenarios, each in a process forked from this one.

Usage: python -m inside.stress.forkserver PRELUDE.json, which has `modules` and `keep` (whether shared objects live for ever: see immortal.py), with requests on standard input, a line of JSON each: `scenarios` (a file), `progress` (a file), `prefix`,
`output` (a file), `first`, `rounds`, `seconds`, `longest` (seconds for one scenario). A line answers with `pid` when a process begins, another with `status` when it ended.

A line goes to `progress` before each scenario (`begin`) and after it (`end`, with `seconds`, `errors`, `wrong`, `gil` and,
where a sanitizer writes to PREFIX.PID, `reports`: how much it had written before and after, in bytes).
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
from .harness import drill, gil_enabled
from .immortal import keep, keep_callables


def main() -> None:
    """Fork for every request."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    if not asked["keep"]:
        memory.limit_address_space()
    namespace = environment(asked["modules"])
    if asked["keep"]:
        keep_callables(asked["modules"])
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            perform(json.loads(line), namespace, keep if asked["keep"] else None)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def perform(
    request: dict[str, Any], namespace: dict[str, Any], keep: Callable[[Any], Any] | None
) -> None:
    """Run a list of scenarios until it is done or its time is up, and end the process."""
    os.setpgid(0, 0)
    sink = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(sink, number)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print
    sys.setswitchinterval(0.0005)
    crew = Crew()
    reports = Path(f"{request['prefix']}.{os.getpid()}")
    deadline = time.monotonic() + request["seconds"]
    with Path(request["progress"]).open("a", buffering=1) as lines:
        for scenario in json.loads(Path(request["scenarios"]).read_text())[request["first"] :]:
            if time.monotonic() > deadline:
                lines.write(json.dumps({"late": scenario["id"]}) + "\n")
                break
            lines.write(json.dumps({"begin": scenario["id"]}) + "\n")
            before, began = _size(reports), time.monotonic()
            errors, wrong = play(scenario, namespace, request, crew, keep)
            line = {
                "end": scenario["id"],
                "seconds": round(time.monotonic() - began, 3),
                "errors": errors,
                "wrong": wrong,
            }
            lines.write(
                json.dumps({**line, "reports": [before, _size(reports)], "gil": gil_enabled()})
                + "\n"
            )
    sys.stderr.flush()
    os._exit(0)


class Crew:
    """Threads that are used again and again: making one takes milliseconds under a sanitizer."""

    def __init__(self) -> None:
        self._inboxes: list[queue.SimpleQueue[Callable[[int], None]]] = []
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __call__(self, work: Callable[[int], None], count: int) -> None:
        """Run a function of a thread's number in that many threads, and wait for them."""
        while len(self._inboxes) < count:
            self._inboxes.append(queue.SimpleQueue())
            threading.Thread(
                target=self._serve, args=(len(self._inboxes) - 1,), daemon=True
            ).start()
        for inbox in self._inboxes[:count]:
            inbox.put(work)
        for _ in range(count):
            self._done.get()

    def _serve(self, number: int) -> None:
        while True:
            work = self._inboxes[number].get()
            try:
                work(number)
            finally:
                del work
                self._done.put(None)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def environment(prelude: list[str]) -> dict[str, Any]:
    """Return what expressions may name: the modules of the prelude, and those every script imports."""
    namespace: dict[str, Any] = {
        **{name: importlib.import_module(name) for name in values.STANDARD}, "values": values, "operator": operator, "itertools": itertools, "copy": copy, "pickle": pickle, "gc": gc,
    }  # fmt: skip
    for name in prelude:
        try:
            importlib.import_module(name)
        except BaseException:
            continue
        namespace[name.partition(".")[0]] = sys.modules[name.partition(".")[0]]
    return namespace


def play(
    scenario: dict[str, Any],
    namespace: dict[str, Any],
    request: dict[str, Any],
    crew: Crew,
    keep: Callable[[Any], Any] | None,
) -> tuple[dict[str, int], list[str]]:
    """Run one scenario."""

    def function(text: str) -> Any:  # noqa: ANN401 - a function of subject and argument
        return eval(f"lambda s, a: {text}", namespace)

    def maker(text: str | None) -> Any:  # noqa: ANN401 - a function without arguments
        return eval(f"lambda: {text}", namespace)

    rows = [[(text, function(text), result) for text, result in row] for row in scenario["rows"]]
    try:
        errors, wrong = drill(
            maker(scenario["make"]), maker(scenario["argument"]), rows, [function(text) for text in scenario["observe"]],
            threads=scenario["threads"], iterations=scenario["iterations"],
            rounds=1 if scenario.get("once") else request["rounds"], sharing=scenario["sharing"], crew=crew, keep=keep,
            longest_s=request["longest"],
        )  # fmt: skip
    except Exception as error:
        return {f"setup: {type(error).__name__}: {error}"[:200]: 1}, []
    return errors, wrong


if __name__ == "__main__":
    main()
