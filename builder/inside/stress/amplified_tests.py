"""Run a package's own tests, examples and documented snippets, and amplify what they do (amplifier.py).

Usage: python -m inside.stress.amplified_tests, asked as inside.supervise.witness says.

The request has `modules` (import names), `after`, `site`, `paths` (further folders to import from), `sdist` (the
unpacked sdist, or null), `tests` (a folder of tests, or null), `arguments` (of pytest), `has_pytest`, `seconds` (for
all of it), `fork_s` (of these, for children; 0 to record only), `child_s`, `threads`, `is_race` and `mark`.

A record has `begun` once all is imported and examples and tests follow; `trial`, its number, and what amplifier.py says
of it; or, once a second, `recorded`, with `arguments` and `makes` (see recording.py) and `calls`, how often each native
callable was called.
Before and after what a trial writes to standard error, a line with the mark and its number goes there.
"""

import ast
import builtins
import contextlib
import doctest
import importlib
import io
import os
import re
import signal
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from ..supervise.witness import Witness, add_site, hide_programs, read_request
from . import memory
from .amplifier import Amplifier, Settings
from .live_calls import CallReader
from .method_tables import list_native_functions
from .recording import Recorder
from .surface import Surface

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_TEST_S = 4.0  # for one test; under a sanitizer, three times as long
_SLOWDOWN = 3
_SNIPPET_S = 2.0
_SAY_EVERY_S = 1.0

_SNIPPET_SHARE = 0.3  # of the time, for examples and snippets: tests have more to show
_MOST_FILE_BYTES = 400_000
_MOST_EXAMPLE_BYTES = 20_000
_MOST_DOCUMENTS = 60
_MOST_TEST_FILES = 120
_PROFILE = "wheelfarm"
_MOST_EXAMPLES = 5  # of a test of hypothesis
_MOST_RECORDS = 4000  # trials that are told of

_DOCUMENTS = ("README*", "*.rst", "*.md", "docs/**/*.rst", "docs/**/*.md", "doc/**/*.rst")
_EXAMPLES = ("examples/*.py", "example*.py", "docs/examples/*.py", "demo/*.py")
_FENCED = re.compile(r"^```\s*(?:python|py|python3)\s*$\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(
    r"^(?:\.\. (?:code-block|code|sourcecode):: *python|.*::)\s*\n(?:[ \t]*:.*\n)*\n((?:[ \t]+.*\n|\s*\n)+)",
    re.MULTILINE,
)

_now = time.monotonic
_write_record = dict  # a copy, so that what is said cannot change


class _Stopped(BaseException):
    """The time of one test or example is up."""


class Session:
    """Runs what there is to run, one after another, until the time is up."""

    def __init__(self, request: dict[str, Any], witness: Witness, amplifier: Amplifier) -> None:
        self._request = request
        self._witness = witness
        self._amplifier = amplifier
        self._deadline = _now() + request["seconds"]
        self._said_at = _now()
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

    def run_snippets(self, snippets: list[tuple[str, list[str]]]) -> None:
        """Run documented examples, each document in a namespace of its own; what raises is skipped.

        Args:
            snippets: pieces of source by the name of what they are from.
        """
        until = _now() + _SNIPPET_SHARE * self._request["seconds"]
        namespace: dict[str, Any] = {}
        for name in self._request["modules"]:
            root = name.partition(".")[0]
            if root in sys.modules:
                namespace[root] = sys.modules[root]

        for name, sources in snippets:
            document = {"__name__": "__main__", **namespace}
            for source in sources:
                if _now() > until or self.is_late:
                    return
                self._run_source(name, source, document)

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

    def run_tests(self) -> None:
        """Run the tests, file by file, the likeliest first: those of the sdist, then those that were installed."""
        roots = {name.partition(".")[0] for name in self._request["modules"]}
        site = Path(self._request["site"])
        tests = self._request["tests"]
        files: list[tuple[Path, Path]] = []  # each with the folder that it is imported from
        if tests:
            files += [(Path(tests), path) for path in rank_test_files(Path(tests), roots)]
        for root in sorted(roots):
            files += [(site, path) for path in rank_test_files(site / root, roots)]

        has_pytest = self._request["has_pytest"]
        for folder, path in files:
            if self.is_late:
                return
            try:
                if has_pytest:
                    self._run_by_pytest(path)
                else:
                    self._run_by_unittest(path, folder)
            except BaseException:  # a file of tests may exit
                continue
            finally:
                self.end()

    def _run_by_pytest(self, path: Path) -> None:
        import pytest

        pytest.main([*self._request["arguments"], str(path)], plugins=[_Plugin(self)])

    def _run_by_unittest(self, path: Path, folder: Path) -> None:
        """Run a file's unittest cases, and those functions of tests that need no arguments, without pytest."""
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        self.begin(name)
        module = importlib.import_module(name)
        suite = unittest.defaultTestLoader.loadTestsFromModule(module)
        for case in _iter_cases(suite):
            if self.is_late:
                return
            self._run_one(case.id(), lambda: case(unittest.TestResult()))  # noqa: B023 - called at once
        for function_name, function in list(vars(module).items()):
            takes_nothing = getattr(getattr(function, "__code__", None), "co_argcount", 1) == 0
            if function_name.startswith("test") and takes_nothing and not self.is_late:
                self._run_one(f"{name}::{function_name}", function)

    def _run_one(self, name: str, function: Callable[[], object]) -> None:
        try:
            self.begin(name)
            function()
        except BaseException:
            pass
        finally:
            self.end()


class _Plugin:
    """A plugin of pytest that tells the session which test runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._has_profile = False

    def pytest_runtest_setup(self, item: Any) -> None:  # noqa: ANN401 - pytest's
        """Note that a test begins; end the session when the time is up: pytest's hook."""
        if self._session.is_late:
            item.session.shouldstop = "the time is up"
        self._limit_examples()
        self._session.begin(item.nodeid)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> object:  # noqa: ANN401 - pytest's
        """Return a report without a traceback, which nobody reads and which takes long to write: pytest's hook."""
        import pytest

        outcome: Literal["passed", "failed", "skipped"] = "passed"
        if call.excinfo is not None:
            is_skipped = isinstance(call.excinfo.value, pytest.skip.Exception)
            outcome = "skipped" if is_skipped else "failed"
        return pytest.TestReport(
            nodeid=item.nodeid,
            location=item.location,
            keywords={},
            outcome=outcome,
            longrepr=None,
            when=call.when,
        )

    def _limit_examples(self) -> None:
        """Have hypothesis, where tests use it, make a few examples of each: calls are wanted, and no proof."""
        hypothesis = sys.modules.get("hypothesis")
        if hypothesis is None or self._has_profile:
            return
        self._has_profile = True
        hypothesis.settings.register_profile(
            _PROFILE, max_examples=_MOST_EXAMPLES, database=None, deadline=None
        )
        hypothesis.settings.load_profile(_PROFILE)

    def pytest_runtest_logfinish(self) -> None:
        """Note that a test has ended: pytest's hook."""
        self._session.end()


def _iter_cases(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from _iter_cases(part)
        else:
            yield part


def rank_test_files(folder: Path, roots: set[str]) -> list[Path]:
    """Return the files of tests in a folder: those first that name the package most often for their size.

    Files that need another machine, or measure, come last.

    Args:
        folder: where they are.
        roots: import names of the package.
    """
    ranked: list[tuple[bool, float, Path]] = []
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
        ranked.append((is_late, -named / (len(words) + 200), path))

    return [path for *_, path in sorted(ranked)][:_MOST_TEST_FILES]


def find_snippets(folder: Path) -> list[tuple[str, list[str]]]:
    """Return the Python code in an sdist's documents and its examples, by file."""
    found: list[tuple[str, list[str]]] = []
    paths: dict[Path, None] = {}
    for pattern in _DOCUMENTS:
        paths.update(dict.fromkeys(sorted(folder.glob(pattern))))
    for path in list(paths)[:_MOST_DOCUMENTS]:
        if path.is_file() and path.stat().st_size <= _MOST_FILE_BYTES:
            text = path.read_text(encoding="utf-8", errors="replace")
            found.append((path.name, extract_snippets(text)))

    for pattern in _EXAMPLES:
        for path in sorted(folder.glob(pattern)):
            if path.is_file() and path.stat().st_size <= _MOST_EXAMPLE_BYTES:
                found.append((path.name, [path.read_text(encoding="utf-8", errors="replace")]))

    return [(name, sources) for name, sources in found if sources]


def extract_snippets(text: str) -> list[str]:
    """Return the Python code in a document or a docstring: examples after `>>>`, and blocks of code without these."""
    try:
        examples = [example.source for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # the prompts are not aligned
        examples = [f"{line}\n" for line in re.findall(r"^\s*>>> (.+)$", text, re.MULTILINE)]

    blocks = _FENCED.findall(text)
    blocks += [_dedent(block) for block in _DIRECTIVE.findall(text)]
    whole = [block for block in blocks if ">>>" not in block and _is_code(block)]
    return [*examples, *whole]


def _dedent(block: str) -> str:
    indents = [len(line) - len(line.lstrip()) for line in block.splitlines() if line.strip()]
    least = min(indents, default=0)
    return "\n".join(line[least:] for line in block.splitlines()) + "\n"


def _is_code(source: str) -> bool:
    """Return whether a text is Python source that does anything."""
    try:
        return bool(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def find_docstrings(surface: Surface) -> list[tuple[str, list[str]]]:
    """Return the examples in the docstrings of a package's public classes, their methods, and functions."""
    found: list[tuple[str, list[str]]] = []
    for name, value in surface.list_public():
        texts = [getattr(value, "__doc__", None)]
        if isinstance(value, type):
            texts += [getattr(part, "__doc__", None) for part in vars(value).values()]
        for text in texts:
            if isinstance(text, str) and ">>>" in text:
                found.append((name, extract_snippets(text)))

    return found


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
    known = {id(value): name for name, value in surface.list_public()}
    reader = CallReader(surface)
    amplifier = Amplifier(
        reader,
        Recorder(known, surface.types),
        settings,
        say,
        site=request["site"],
        tests=request["tests"],
    )
    session = Session(request, witness, amplifier)
    signal.signal(signal.SIGALRM, session.interrupt)
    snippets = find_docstrings(surface)
    if request["has_pytest"]:
        importlib.import_module("pytest")  # its time is not that of the tests
    session.restart_clock()
    witness.write({"begun": True})
    if request["sdist"]:
        snippets += find_snippets(Path(request["sdist"]))

    nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print
    printed = sys.stdout, sys.stderr
    amplifier.start()
    try:
        sys.stdout = sys.stderr = nowhere
        session.run_snippets(snippets)
        sys.stdout, sys.stderr = printed if request["has_pytest"] else (io.StringIO(),) * 2
        session.run_tests()
    finally:
        amplifier.stop()
    session.say_recorded()


if __name__ == "__main__":
    main()
