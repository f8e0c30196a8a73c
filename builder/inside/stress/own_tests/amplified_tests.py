"""Run a package's own tests, examples and documented snippets, and amplify what they do (amplifier.py).

Usage: python -m inside.stress.own_tests.amplified_tests, asked as inside.supervise.witness says.

The request has `modules` (import names), `after`, `site`, `paths` (further folders to import from), `sdist` (the
unpacked sdist, or null), `tests` (a folder of tests, or null), `arguments` (of pytest), `has_pytest`, `selection` (what
of them is run, see selection.py; null for everything), `runs_rest` (whether files that were not run to their end before
follow), `seconds` (for all of it), `fork_s` (of these, for children; 0 to record only), `child_s`, `threads`, `is_race`
and `mark`.

A record has `begun` once all is imported and examples and tests follow; `trial`, its number, and what amplifier.py says
of it; `part`, which native callables a test or a document called, and `ran`, a file of tests that came to its end (see
selection.py); or, once a second, `recorded`, with `arguments` and `makes` (see recording.py) and `calls`, how often
each native callable was called.
Before and after what a trial writes to standard error, a line with the mark and its number goes there.
"""

import builtins
import contextlib
import importlib
import os
import re
import signal
import sys
import time
import unittest
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ...supervise.witness import Witness, add_site, hide_programs, read_request
from ..calls.live_calls import CallReader
from ..calls.method_tables import list_native_functions
from ..calls.recording import Recorder
from ..calls.snippets import Snippets, find_docstrings, find_snippets
from ..calls.surface import Surface
from ..process import memory
from .amplifier import Amplifier, Settings
from .pytest_plugin import Plugin, choose_tests

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_TEST_S = 4.0  # for one test; under a sanitizer, three times as long
_SLOWDOWN = 3
_SNIPPET_S = 2.0
_SAY_EVERY_S = 1.0

_SNIPPET_SHARE = 0.3  # of the time, for examples and snippets: tests have more to show
_REST_SHARE = 0.5  # of the time, for tests of which it is not known what they call: most will be like those before
_MOST_FILE_BYTES = 400_000
_MOST_TEST_FILES = 120
_MOST_RECORDS = 4000  # trials that are told of

_now = time.monotonic
_write_record = dict  # a copy, so that what is said cannot change


class _Stopped(BaseException):
    """The time of one test or example is up."""


class Session:
    """Runs what there is to run, one after another, until the time is up."""

    def __init__(
        self,
        request: dict[str, Any],
        witness: Witness,
        amplifier: Amplifier,
        native_names: Collection[str],
    ) -> None:
        """Take what there is to run.

        Args:
            request: what this program was asked.
            witness: writes what comes of it.
            amplifier: lets threads make native calls.
            native_names: last parts of the names of native types and functions: tests that name them come first.
        """
        self._request = request
        self._witness = witness
        self._amplifier = amplifier
        self._native_names = native_names
        self._deadline = _now() + request["seconds"]
        self._said_at = _now()
        self._parts = amplifier.parts
        slowdown = _SLOWDOWN if request["is_race"] else 1
        self._test_s = _TEST_S * slowdown
        self._snippet_s = _SNIPPET_S * slowdown

    def restart_clock(self) -> None:
        """Begin now: what was done so far took no time of the tests."""
        self._deadline = _now() + self._request["seconds"]

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return bool(_now() >= self._deadline)

    def begin(self, name: str, seconds: float | None = None) -> None:
        """Note that a test or an example begins, and have it interrupted when it takes too long."""
        if name != self._amplifier.source:
            self._amplifier.recorder.forget_waiting()
        self._amplifier.source = name
        signal.setitimer(signal.ITIMER_REAL, seconds or self._test_s)
        if _now() - self._said_at > _SAY_EVERY_S:
            self.say_recorded()

    def end(self) -> None:
        """Note that it has ended."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def begin_test(self, name: str, part: str) -> None:
        """Note that a test begins.

        Args:
            name: its name.
            part: its name in its file.
        """
        self.begin(name)
        self._parts.begin(part, _now())

    def end_test(self) -> None:
        """Note that a test, or a document, has ended, and say what it called."""
        self.end()
        part = self._parts.end(_now())
        if part is not None:
            self._witness.write({"part": part})

    def interrupt(self, _number: int, _frame: object) -> None:
        """Interrupt what takes too long, and wait on where a child is what takes it: the handler of SIGALRM."""
        if self._amplifier.is_waiting:
            signal.setitimer(signal.ITIMER_REAL, self._snippet_s)
            return
        raise _Stopped

    def say_recorded(self) -> None:
        """Say what was recorded so far."""
        recorder = self._amplifier.recorder
        self._witness.write(
            {
                "recorded": {
                    "arguments": recorder.arguments,
                    "makes": recorder.makes,
                    "calls": dict(self._amplifier.planner.seen),
                }
            }
        )
        self._said_at = _now()

    def run_all(self, snippets: Snippets) -> None:
        """Run documented examples and tests: all there are, or those that were selected.

        Args:
            snippets: pieces of source by the name of what they are from.
        """
        selection = self._request["selection"]
        files = self._list_files()
        if selection is None:
            self._run_snippets(snippets, _SNIPPET_SHARE)
            for file in files:
                self._run_file(*files[file], None)
            return

        for step in selection["steps"]:
            names = step["names"]
            if step["file"] in files:
                self._run_file(*files[step["file"]], names)
            elif not step["file"]:
                self._run_snippets([snippet for snippet in snippets if snippet[0] in names], 1)
        if self._request["runs_rest"]:
            rest_s = _REST_SHARE * self._request["seconds"]
            self._deadline = min(self._deadline, _now() + rest_s)
            for file in files:
                if file not in selection["ran"]:
                    self._run_file(*files[file], None)

    def _run_snippets(self, snippets: Snippets, share: float) -> None:
        """Run documented examples, each document in a namespace of its own; what raises is skipped.

        Args:
            snippets: pieces of source by the name of what they are from.
            share: of the time, the most that they may take.
        """
        until = _now() + share * self._request["seconds"]
        namespace: dict[str, Any] = {}
        for name in self._request["modules"]:
            root = name.partition(".")[0]
            if root in sys.modules:
                namespace[root] = sys.modules[root]

        self._parts.open_file("", _now())
        with _silence():
            for name, sources in snippets:
                document = {"__name__": "__main__", **namespace}
                self._parts.begin(name, _now())
                for source in sources:
                    if _now() > until or self.is_late:
                        break
                    self._run_source(name, source, document)
                self.end_test()

    def _run_source(self, name: str, source: str, namespace: dict[str, Any]) -> None:
        """Run one piece of source; whatever it raises is its own affair."""
        try:
            code = compile(source, f"<{name}>", "exec")
        except (SyntaxError, ValueError):
            return

        try:
            self.begin(name, self._snippet_s)
            exec(code, namespace)
        except BaseException:  # also SystemExit, and the end of its time
            pass
        finally:
            self.end()

    def _list_files(self) -> dict[str, tuple[Path, Path]]:
        """Return the files of tests, the likeliest first: those of the sdist, then those that were installed.

        Returns:
            The folder that each is imported from, and its path, by its path in that folder.
        """
        roots = {name.partition(".")[0] for name in self._request["modules"]}
        site = Path(self._request["site"])
        tests = self._request["tests"]
        searched = [(site, site / root) for root in sorted(roots)]
        if tests:
            searched.insert(0, (Path(tests), Path(tests)))

        by_name: dict[str, tuple[Path, Path]] = {}
        for folder, inner in searched:
            for path in rank_test_files(inner, roots, self._native_names):
                by_name.setdefault(str(path.relative_to(folder)), (folder, path))
        return by_name

    def _run_file(self, folder: Path, path: Path, names: list[str] | None) -> None:
        """Run a file of tests, unless the time is up.

        Args:
            folder: where it is imported from.
            path: the file.
            names: tests in it that are run, in this order; None for all.
        """
        if self.is_late:
            return

        file = str(path.relative_to(folder))
        self._parts.open_file(file, _now())
        try:
            if self._request["has_pytest"]:
                self._run_by_pytest(path, names)
            else:
                with _silence():
                    self._run_by_unittest(path, folder, names)
        except BaseException:  # a file of tests may exit
            return
        finally:
            self.end()
        if names is None and not self.is_late:
            self._witness.write({"ran": file})

    def _run_by_pytest(self, path: Path, names: list[str] | None) -> None:
        import pytest

        plugin = Plugin(self, names)
        pytest.main([*self._request["arguments"], str(path)], plugins=[plugin])

    def _run_by_unittest(self, path: Path, folder: Path, names: list[str] | None) -> None:
        """Run a file's unittest cases, and those functions of tests that need no arguments, without pytest."""
        module_name = ".".join(path.relative_to(folder).with_suffix("").parts)
        self.begin(module_name)
        module = importlib.import_module(module_name)
        tests: dict[str, Callable[[], object]] = {}
        suite = unittest.defaultTestLoader.loadTestsFromModule(module)
        for case in _iter_cases(suite):
            tests[case.id()] = partial(case, unittest.TestResult())
        for name, function in list(vars(module).items()):
            takes_nothing = getattr(getattr(function, "__code__", None), "co_argcount", 1) == 0
            if name.startswith("test") and takes_nothing:
                tests[name] = function

        for name in choose_tests(list(tests), names):
            if self.is_late:
                return
            self._run_one(name, tests[name])

    def _run_one(self, name: str, function: Callable[[], object]) -> None:
        try:
            self.begin_test(name, name)
            function()
        except BaseException:
            pass
        finally:
            self.end_test()


def _iter_cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from _iter_cases(part)
        else:
            yield part


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Have what is printed in the block go nowhere."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def rank_test_files(
    folder: Path, roots: set[str], native_names: Collection[str] = ()
) -> list[Path]:
    """Return the files of tests in a folder, those first that name most of the package's native types and functions.

    Of several, those first that name the package most often for their size. Files that need another machine, or
    measure, come last.

    Args:
        folder: where they are.
        roots: import names of the package.
        native_names: last parts of the names of its native types and functions.
    """
    natives = frozenset(native_names)
    ranked: list[tuple[bool, int, float, Path]] = []
    for path in folder.rglob("*.py"):
        is_test = path.name.startswith("test") or path.stem.endswith(("_test", "_tests"))
        if not is_test or not path.is_file() or path.stat().st_size > _MOST_FILE_BYTES:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        words = re.findall(r"\w+", text)
        named = sum(word in roots for word in words)
        is_late = any(
            word in path.stem for word in ("bench", "thread", "network", "typing", "memory")
        )
        share = named / (len(words) + 200)
        ranked.append((is_late, -len(natives.intersection(words)), -share, path))

    return [path for *_, path in sorted(ranked)][:_MOST_TEST_FILES]


def main() -> None:
    """Import the package, run its examples and tests, and end the process."""
    asked = read_request()
    request = asked["request"]
    witness = Witness(asked["token"], asked["descriptor"], looked=asked["looked"])
    if not request["is_race"]:
        memory.limit_address_space()
    end = os._exit

    programs = os.environ["PYTHONPATH"]
    add_site(request["site"])
    sys.path[:] = [
        *([request["tests"]] if request["tests"] else []),
        *request["paths"],
        *(path for path in sys.path if path != programs),
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([request["site"], *request["paths"]])
    hide_programs("values")

    for name in request["after"]:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    surface = Surface(request["modules"])
    if surface.natives:
        for file in list_native_functions(surface, request["site"]):
            witness.write({"file": file})
        amplify(request, witness, surface)
    witness.close()
    end(0)  # what was called may have left threads and handlers that end badly


def amplify(request: dict[str, Any], witness: Witness, surface: Surface) -> None:
    """Run the examples and tests of a package that was imported."""
    count = 0

    def say(record: dict[str, Any]) -> None:
        nonlocal count
        count += 1
        if count <= _MOST_RECORDS:
            witness.write(_write_record(record))

    settings = Settings(
        threads=request["threads"],
        seconds=request["fork_s"],
        child_s=request["child_s"],
        is_race=request["is_race"],
        mark=request["mark"],
    )
    selection = request["selection"] or {}
    known = {id(value): name for name, value in surface.list_public()}
    reader = CallReader(surface)
    amplifier = Amplifier(
        reader,
        Recorder(known, surface.types),
        settings,
        say,
        site=request["site"],
        tests=request["tests"],
        awaited=selection.get("callables", ()),
        banned=selection.get("banned", ()),
    )
    named = (*surface.types.values(), *surface.functions.values())
    native_names = {name.rpartition(".")[2] for name in named}
    session = Session(request, witness, amplifier, native_names)
    signal.signal(signal.SIGALRM, session.interrupt)
    snippets = find_docstrings(surface)
    if request["has_pytest"]:
        importlib.import_module("pytest")  # its time is not that of the tests
    session.restart_clock()
    witness.write({"begun": True})
    if request["sdist"]:
        snippets += find_snippets(Path(request["sdist"]))

    amplifier.start()
    try:
        session.run_all(snippets)
    finally:
        amplifier.stop()
    session.say_recorded()


if __name__ == "__main__":
    main()
