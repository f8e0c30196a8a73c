#!/usr/bin/env python3
r"""Choose the interpreter that a service starts with: the first that can import everything the service installs.

Copy this one file. It needs the standard library alone, Python 3.9 or newer, and Linux or another POSIX system:

    python3 start.py --lock requirements.txt --without-gil 3.14t \
      --runtime 3.14t=/venvs/3.14t/bin/python --runtime 3.14=/venvs/3.14/bin/python \
      -- gunicorn --bind 0.0.0.0:8000 shop:app

Each runtime is an interpreter of a virtual environment, the preferred one first. A process of it imports every
top-level module of every distribution that the lock names. Where one cannot be imported, ends the process, takes too
long, or turns the GIL on where it has to stay off, one line of JSON on standard error says which and why, and the next
runtime is examined. Each is examined once. The first usable one replaces this process with the command.

Exit codes: that of the command where it was started; otherwise

    0    --check: the first runtime is usable
    64   the command line or the lock is wrong
    69   no runtime is usable; nothing was started
    75   --check: the first runtime is not usable, a later one is
    127  the command was not found
    143  ended by SIGTERM before anything was started
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple, NoReturn

EXIT_USAGE = 64
EXIT_NO_RUNTIME = 69
EXIT_FALLBACK = 75
EXIT_NO_COMMAND = 127
EXIT_TERMINATED = 143
"""The first three are EX_USAGE, EX_UNAVAILABLE and EX_TEMPFAIL of sysexits.h, the others are the shell's."""

DEFAULT_TIMEOUT_S = 60.0
"""Longest time that one runtime is examined for; start-up probes of platforms wait for minutes."""

LONGEST_REASON = 300
"""Characters of an exception in the line of JSON: a log keeps long lines badly."""

MOST_FAILURES = 10
"""Failures that the line of JSON lists; it has the count of all."""

LONGEST_REPORT = 4 << 20
"""Bytes that an examined process may report: several thousand modules take less than one MiB."""

POLL_S = 0.1
"""How often it is asked whether the examined process has ended: a child that it left may hold the pipe open."""

KILLED_S = 10.0
"""How long to wait for a killed process: one that the kernel holds must not hold the service up."""

EXAMINE = "--examine-in-this-process"
"""The argument by which this file runs as the process that imports."""

_PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?:===?|@)")


class Runtime(NamedTuple):
    """An interpreter that the service may run with."""

    name: str
    python: str


class Examination(NamedTuple):
    """What importing everything with one runtime showed."""

    failures: list[dict[str, str]]
    modules: int
    seconds: float


class LockError(Exception):
    """The lock cannot be read, or names nothing."""


# --- the process that chooses -----------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Examine runtimes in their order, and start the command with the first usable one.

    Args:
        arguments: the command line without the program.

    Returns:
        The exit code, where no command was started.
    """
    options = parse_arguments(arguments)
    # The first process of a container is ended by no signal that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))

    try:
        read_lock(Path(options.lock))
    except LockError as error:
        report({"event": "start-check", "error": str(error)})
        return EXIT_USAGE

    chosen = choose_runtime(options)
    if chosen is None:
        return EXIT_NO_RUNTIME
    if options.check:
        return 0 if chosen == options.runtime[0] else EXIT_FALLBACK

    return start(options.command, chosen)


class _Parser(argparse.ArgumentParser):
    """A parser that ends with EX_USAGE: argparse's own 2 is a code that services end with as well."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the options, checked."""
    parser = _Parser(prog="start.py", description="Start a service with the first usable runtime.")
    parser.add_argument(
        "--runtime",
        action="append",
        required=True,
        type=parse_runtime,
        metavar="NAME=PYTHON",
        help="an interpreter, the preferred one first; repeatable",
    )
    parser.add_argument("--lock", required=True, help="requirements file: what is installed")
    parser.add_argument(
        "--without-gil",
        action="append",
        default=[],
        metavar="NAME",
        help="runtime in which the GIL has to stay off; repeatable",
    )
    parser.add_argument(
        "--first",
        action="append",
        default=[],
        metavar="MODULE",
        help="module to import before all others; repeatable",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="MODULE",
        help="top-level module not to import; repeatable",
    )
    parser.add_argument(
        "--timeout-s",
        type=parse_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="longest time that one runtime is examined for",
    )
    parser.add_argument("--check", action="store_true", help="examine, and start nothing")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command to start")

    options = parser.parse_args(arguments)
    if options.command[:1] == ["--"]:
        del options.command[0]
    names = [runtime.name for runtime in options.runtime]
    unknown = [name for name in options.without_gil if name not in names]
    if unknown:
        parser.error(f"--without-gil names {unknown[0]}, which is no --runtime")
    if len(set(names)) < len(names):
        parser.error("two runtimes have one name")
    if bool(options.command) == options.check:
        parser.error("expected either --check or -- COMMAND")
    return options


def parse_runtime(text: str) -> Runtime:
    """Return the runtime of `NAME=PYTHON`."""
    name, _, python = text.partition("=")
    if not name or not python:
        raise argparse.ArgumentTypeError(f"expected NAME=PYTHON, not {text!r}")
    return Runtime(name, python)


def parse_seconds(text: str) -> float:
    """Return a positive number of seconds, an hour at most: the check has to end."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds above 0 and up to 3600, not {text!r}")
    return seconds


def read_lock(path: Path) -> dict[str, bool]:
    """Return the distributions that a requirements file names, with whether each has to be installed.

    One with an environment marker may be missing. Lines with options and hashes name none.

    Raises:
        LockError: it cannot be read, or names none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path} cannot be read: {error}") from None

    distributions: dict[str, bool] = {}
    for line in text.splitlines():
        match = _PINNED.match(line.strip())
        if match is not None:
            distributions[match["name"]] = ";" not in line
    if not distributions:
        raise LockError(f"{path} names no distribution as NAME==VERSION")
    return distributions


def choose_runtime(options: argparse.Namespace) -> Runtime | None:
    """Return the first usable runtime, and report on each that was examined; None where none is usable."""
    runtimes: list[Runtime] = options.runtime
    for place, runtime in enumerate(runtimes):
        request = {
            "lock": str(Path(options.lock).absolute()),
            "first": options.first,
            "skip": options.skip,
            "without_gil": runtime.name in options.without_gil,
        }
        examination = examine(runtime, request, options.timeout_s)

        line: dict[str, Any] = {
            "event": "start-check",
            "runtime": runtime.name,
            "usable": not examination.failures,
            "modules": examination.modules,
            "seconds": round(examination.seconds, 2),
        }
        if not examination.failures:
            report(line)
            return runtime

        later = runtimes[place + 1 : place + 2]
        line["failures"] = examination.failures[:MOST_FAILURES]
        line["failure_count"] = len(examination.failures)
        line["next"] = later[0].name if later else None
        report(line)

    return None


def report(line: dict[str, Any]) -> None:
    """Write one line of JSON to standard error."""
    print(json.dumps(line), file=sys.stderr, flush=True)


def examine(runtime: Runtime, request: dict[str, Any], timeout_s: float) -> Examination:
    """Let a process of a runtime import everything, and return what it showed.

    The process gets the environment of this one, as the service would, and a session of its own, which is ended with
    all that is in it.
    """
    begun = time.monotonic()
    reading_end, writing_end = os.pipe()
    program = str(Path(__file__).absolute())
    command = [runtime.python, program, EXAMINE, str(writing_end), json.dumps(request)]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=[writing_end],
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading_end)
        failure = describe_failure("", "", f"{runtime.python} does not start: {error}")
        return Examination([failure], 0, time.monotonic() - begun)
    finally:
        os.close(writing_end)

    try:
        text, is_late = read_until(reading_end, process, begun + timeout_s)
    finally:
        os.close(reading_end)
        end_session(process)

    try:
        exit_code = process.wait(KILLED_S)
    except subprocess.TimeoutExpired:
        exit_code = -signal.SIGKILL
    end = f"it did not end within {timeout_s:g} s" if is_late else describe_end(exit_code)
    failures, modules = judge(text, end)
    return Examination(failures, modules, time.monotonic() - begun)


def read_until(pipe: int, process: subprocess.Popen[bytes], deadline: float) -> tuple[str, bool]:
    """Return what a process reported, and whether its time was up before it ended."""
    content = b""
    is_late = False
    while True:
        has_ended = process.poll() is not None
        ready, _, _ = select.select([pipe], [], [], 0 if has_ended else POLL_S)
        if ready:
            block = os.read(pipe, 1 << 16)
            content += block
            if not block or len(content) > LONGEST_REPORT:
                break
        elif has_ended:
            break
        if time.monotonic() > deadline:
            is_late = True
            break

    # The pipe may be closed before the process has ended.
    if not is_late:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            is_late = True
    return content[:LONGEST_REPORT].decode(errors="replace"), is_late


def end_session(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def judge(text: str, end: str) -> tuple[list[dict[str, str]], int]:
    """Return the failures that a process reported or that its end shows, and how many modules it imported.

    Args:
        text: what it reported.
        end: how it ended; empty where it ended well.
    """
    failures: list[dict[str, str]] = []
    current = {"module": "", "distribution": ""}
    modules = 0
    is_complete = False
    for record in iter_records(text):
        if record.get("state") == "begin":
            current = {key: str(record.get(key, "")) for key in current}
        elif record.get("state") == "imported":
            modules += 1
            current = {"module": "", "distribution": ""}
        elif record.get("state") == "failed":
            failures.append(
                describe_failure(
                    str(record.get("module", "")),
                    str(record.get("distribution", "")),
                    str(record.get("why", "")),
                )
            )
            current = {"module": "", "distribution": ""}
        elif record.get("state") == "complete":
            is_complete = True

    if not is_complete or end:
        why = end or "it ended before it was through"
        failures.append(describe_failure(current["module"], current["distribution"], why))
    return failures, modules


def iter_records(text: str) -> Iterator[dict[str, Any]]:
    """Iterate over the records of a report; what is none, such as a line that was cut off, is skipped."""
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def describe_end(exit_code: int) -> str:
    """Return how a process ended: `it died of SIGSEGV`; empty where it ended well."""
    if exit_code == 0:
        return ""
    if exit_code > 0:
        return f"it ended early, with exit code {exit_code}"
    try:
        return f"it died of {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"it died of signal {-exit_code}"


def describe_failure(module: str, distribution: str, why: str) -> dict[str, str]:
    """Return one failure for the line of JSON."""
    return {"module": module, "distribution": distribution, "why": why[:LONGEST_REASON]}


def start(command: list[str], runtime: Runtime) -> int:
    """Replace this process with a command, in the environment of a runtime; return an exit code where that fails.

    A program that the environment has is taken from there, `gunicorn` as well as `python`.
    """
    # Links are not followed: the interpreter of a virtual environment is one, and is known by where it stands.
    folder = Path(runtime.python).absolute().parent
    environment = {**os.environ}
    environment["PATH"] = os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
    environment["VIRTUAL_ENV"] = str(folder.parent)
    environment.pop("PYTHONHOME", None)

    # Python ignores it, and a command would inherit that.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - a shell would take the command apart
    except OSError as error:
        report({"event": "start", "runtime": runtime.name, "error": f"{command[0]}: {error}"})
        return EXIT_NO_COMMAND


# --- the process that imports -----------------------------------------------------------------------------------------


def import_all(pipe: int, request: dict[str, Any]) -> None:
    """Import what a request names, and report on each module before and after."""
    write = make_writer(pipe)
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    wants_no_gil = request["without_gil"]
    if wants_no_gil and is_gil_enabled():
        write(state="failed", module="", distribution="", why="the GIL is on from the start")
        write(state="complete")
        return

    # Packages may change the path by which this file was started; they see the one of a service.
    sys.argv = [""]
    sys.path[0] = str(Path.cwd())

    for module, distribution in list_modules(request, write):
        write(state="begin", module=module, distribution=distribution)
        had_gil = is_gil_enabled()
        why = import_module(module)
        if not why and wants_no_gil and is_gil_enabled() and not had_gil:
            why = "importing it turns the GIL on"
        if why:
            write(state="failed", module=module, distribution=distribution, why=why)
        else:
            write(state="imported")

    write(state="complete")
    # Threads and handlers that packages leave behind are theirs, and may hang.
    os._exit(0)


def make_writer(pipe: int) -> Callable[..., None]:
    """Return a function that writes a record; it uses nothing that a package may replace later."""
    dumps, write = json.dumps, os.write

    def write_record(**record: str) -> None:
        line = dumps(record).encode() + b"\n"
        while line:
            line = line[write(pipe, line) :]

    return write_record


def list_modules(request: dict[str, Any], write: Callable[..., None]) -> Iterator[tuple[str, str]]:
    """Yield each module with its distribution; a distribution that is not installed is reported as a failure."""
    from importlib import metadata

    seen = set(request["skip"])
    for module in request["first"]:
        if module not in seen:
            seen.add(module)
            yield module, ""

    # It is read here once more: as an argument, a long one would be too long for some kernels.
    for name, is_required in read_lock(Path(request["lock"])).items():
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if is_required:
                write(state="failed", module="", distribution=name, why="it is not installed")
            continue

        title = f"{name} {distribution.version}"
        for module in sorted(find_top_level(distribution.files or ())):
            if module not in seen:
                seen.add(module)
                yield module, title


def find_top_level(files: Iterable[PurePath]) -> set[str]:
    """Return the top-level modules and packages among the files of a distribution.

    A folder counts where it has Python code or extension modules, at whatever depth.
    """
    modules: set[str] = set()
    for file in files:
        top, *inner = file.parts
        is_code = file.name.endswith((".py", ".so"))
        name = top if inner else top.partition(".")[0]
        if is_code and name.isidentifier():
            modules.add(name)

    return modules


def import_module(name: str) -> str:
    """Import a module; return what it raised, empty for nothing."""
    import importlib

    try:
        importlib.import_module(name)
    except BaseException as error:  # SystemExit of a module ends a service as well
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    if sys.argv[1:2] == [EXAMINE]:
        import_all(int(sys.argv[2]), json.loads(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
