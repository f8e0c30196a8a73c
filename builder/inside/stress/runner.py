"""Start the programs that call native code, watch over them, and say how they ended."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import memory, reports
from .dialogue import Dialogue

_PACKAGE = __name__.rpartition(".")[0]
"""What this package is imported as: `inside.stress` in containers."""

_PROGRAMS = Path(__file__).parents[_PACKAGE.count(".") + 1]
"""The folder it is imported from."""

_POLL_S = 0.05
_STALL_S = 3.0
_MOST_ENDS = 25
_MOST_DEATHS = 3
_MOST_REPORTS_BYTES = 8 << 20
_STACK_LINES = 40
_ENDED_BY_OTHERS = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit statuses of what did not end by its own fault: the kernel kills what takes too much memory."""

Event = dict[str, Any]
"""`what` (race, crash, hang, wrong), `scenario` (its id) and, by what it is: `places`, `owner`, `freed`, `report`; `signal`,
`stack`; `idle`, `stack`; `sentences`."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs native code.

    Attributes:
        python: the program.
        site: the folder the distribution is installed in.
        race: whether it was compiled with ThreadSanitizer.
        patience_s: how long a scenario may go on without a sign of life.
    """

    python: str
    site: str
    race: bool = False
    patience_s: float = 10.0

    @property
    def longest_s(self) -> float:
        """What of that a scenario has whose calls come to an end, so that only a call without one is taken for a hang."""
        return 0.7 * self.patience_s

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a program of this package.

        Args:
            name: of its module.
            arguments: what it is given.
        """
        # -P: its working directory is not to be imported from.
        return [self.python, "-P", "-m", f"{_PACKAGE}.{name}", *arguments]

    def program_environment(self, prefix: str = "") -> dict[str, str]:
        """Return the environment of a program of this package: as `environment`, with the package on the path.

        Its folder comes first: a distribution may have a module called as the package is.
        """
        return self.environment(prefix, PYTHONPATH=f"{_PROGRAMS}{os.pathsep}{self.site}")

    def environment(self, prefix: str = "", **more: str) -> dict[str, str]:
        """Return the environment of its processes.

        Args:
            prefix: where a sanitizer writes its reports; empty for standard error.
            more: further variables.
        """
        kept = {
            name: os.environ[name]
            for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
            if name in os.environ
        }
        found = {
            **kept,
            "PYTHONPATH": self.site,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONHASHSEED": "0",
            "WHEELFARM_LONGEST_S": str(self.longest_s),  # replay scripts go by it
            **more,
        }
        if self.race:
            # A sanitizer that handles a crash itself may print without end: the kernel is to end the process.
            options = ["suppressions=/opt/race/suppressions.txt", "external_symbolizer_path=/usr/local/bin/llvm-symbolizer",
                       "exitcode=0", "handle_segv=0", "handle_sigbus=0", "handle_abort=0", "handle_sigill=0", "handle_sigfpe=0",
                       "detect_deadlocks=1", "second_deadlock_stack=1", "history_size=4", "atexit_sleep_ms=0"]  # fmt: skip
            found["TSAN_OPTIONS"] = " ".join(
                [*options, *([f"log_path={prefix}"] if prefix else [])]
            )
        return found


@dataclass(slots=True)
class PlayResult:
    """What came of a list of scenarios.

    Attributes:
        events: what was seen.
        ended: ids of the scenarios that came to their end.
        seconds: how long each took, by id.
        errors: exceptions of the scenarios, by text.
        gil: whether the GIL was on at any time.
        late: how many scenarios there was no time for.
    """

    events: list[Event] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    gil: bool = False
    late: int = 0


def learn(interpreter: Interpreter, request: dict[str, Any]) -> dict[str, Any] | None:
    """Learn how to call what is installed; a call that ends the process is left out of the next attempt.

    Returns:
        What learn.py wrote, with `fatal`, the calls that ended an attempt; None where it never learnt anything.
    """
    never: list[str] = []
    deadline = time.monotonic() + request["seconds"] * 2 + 10
    with tempfile.TemporaryDirectory() as scratch:
        output, journal, asked = (
            Path(scratch) / name for name in ("surface.json", "journal", "request.json")
        )
        while len(never) < _MOST_ENDS and time.monotonic() < deadline:
            seconds = max(2.0, min(request["seconds"], deadline - time.monotonic()))
            asked.write_text(
                json.dumps(
                    {**request, "seconds": seconds, "never": never, "site": interpreter.site}
                )
            )
            command = interpreter.program("learn", str(asked), str(output), str(journal))
            with _process(command, interpreter.program_environment(), scratch) as process:
                _watch_journal(process, journal, time.monotonic() + 2 * seconds + 5)
            if output.exists():
                return {**json.loads(output.read_text()), "fatal": never}
            if (text := _last_call(journal)) is None or text in never:
                break
            never.append(text)
        part = Path(f"{output}.part")
        return {**json.loads(part.read_text()), "fatal": never} if part.exists() else None


def _watch_journal(process: subprocess.Popen[bytes], journal: Path, deadline: float) -> None:
    """Wait for a process to end; kill it when it is with one call for too long."""
    seen, since = b"", time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        current = journal.read_bytes()[:4000] if journal.exists() else b""
        if current != seen:
            seen, since = current, now
        if now - since > _STALL_S or now > deadline:
            return
        time.sleep(_POLL_S)


def _last_call(journal: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return str(json.loads(journal.read_bytes()[:4000].rstrip(b"\0 "))[1])
    return None


@contextlib.contextmanager
def _process(
    command: list[str],
    environment: dict[str, str],
    folder: str,
    output: IO[bytes] | None = None,
    begin: Callable[[], None] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own and see to it that none of the group is left."""
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output or subprocess.DEVNULL,
        stderr=output or subprocess.DEVNULL, start_new_session=True, preexec_fn=begin,  # noqa: PLW1509 - of a process with one thread
    )  # fmt: skip
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Player:
    """Plays scenarios in processes of their own."""

    def __init__(
        self,
        interpreter: Interpreter,
        prelude: list[str],
        modules: set[str],
        *,
        rounds: int,
        seconds: float,
    ) -> None:
        self.interpreter = interpreter
        self.modules = modules
        self.rounds = rounds
        self.deadline = time.monotonic() + seconds
        self.played = PlayResult()
        self._folder = tempfile.TemporaryDirectory()
        self.prefix = f"{self._folder.name}/reports"
        self.stage = ForkServer(interpreter, prelude, self._folder.name, self.prefix)

    def close(self) -> None:
        """End the process that others were forked from."""
        self.stage.close()
        self._folder.cleanup()

    def play(self, scenarios: list[dict[str, Any]]) -> PlayResult:
        """Play scenarios, process by process, until all are done or the time is up."""
        groups: dict[str, list[dict[str, Any]]] = {}
        for scenario in scenarios:
            groups.setdefault(scenario["process"], []).append(scenario)
        begun, waiting = time.monotonic(), len(scenarios)
        for place, group in enumerate(groups.values()):
            left = self.deadline - time.monotonic()
            if left <= 0:
                self.played.late += len(group)
                continue
            # No group may take what the others need: each has twice its share of what is left.
            self._group(group, max(3.0, 2 * left * len(group) / waiting))
            waiting -= len(group)
            print(
                f"{place + 1} of {len(groups)} groups, {time.monotonic() - begun:.0f} s, {len(self.played.events)} events",
                flush=True,
            )
        return self.played

    def _group(self, group: list[dict[str, Any]], seconds: float) -> None:
        first, deaths = 0, 0
        deadline = min(self.deadline, time.monotonic() + seconds)
        while (
            first < len(group)
            and deaths < _MOST_DEATHS
            and (left := deadline - time.monotonic()) > 0
        ):
            with tempfile.TemporaryDirectory() as scratch:
                reached, died = self._once(group, first, left, Path(scratch))
            first = reached + 1
            deaths += died
        self.played.late += max(0, len(group) - first)

    def _once(
        self, group: list[dict[str, Any]], first: int, seconds: float, scratch: Path
    ) -> tuple[int, bool]:
        """Run one process; return the place of the last scenario it began, and whether it ended there."""
        scenarios = (
            [adapt_for_sanitizer(scenario) for scenario in group]
            if self.interpreter.race
            else group
        )
        (scratch / "scenarios.json").write_text(json.dumps(scenarios))
        progress, output = scratch / "progress.jsonl", scratch / "output"
        request = {
            "scenarios": str(scratch / "scenarios.json"), "progress": str(progress), "prefix": self.prefix,
            "output": str(output), "first": first, "rounds": self.rounds, "seconds": seconds,
            "longest": self.interpreter.longest_s,
        }  # fmt: skip
        pid = self.stage.begin(request)
        if pid is None:
            return len(group), True
        reports_file = Path(f"{self.prefix}.{pid}")
        status, idle = _watch(self.stage, pid, progress, self.interpreter, reports_file)
        lines = (
            [json.loads(line) for line in progress.read_text().splitlines()]
            if progress.exists()
            else []
        )
        text = (
            reports_file.read_text(errors="replace")[:_MOST_REPORTS_BYTES]
            if reports_file.exists()
            else ""
        )
        reports_file.unlink(missing_ok=True)
        reached = self._note(lines, text)
        if reached is None:  # it did not even begin: nothing of the group can be played
            return len(group), True
        place = next(place for place, scenario in enumerate(group) if scenario["id"] == reached)
        if "begin" in lines[-1]:
            self.played.events.append(
                _end(status, idle, reached, output.read_text(errors="replace"))
            )
            if self.interpreter.race and idle is False:
                self.played.events.pop()  # slow, as everything is under a sanitizer
            return place, True
        return (len(group), False) if "late" in lines[-1] else (place, place != len(group) - 1)

    def _note(self, lines: list[dict[str, Any]], text: str) -> str | None:
        """Take in what a process told; return the id of the last scenario it began."""
        begun = None
        read = 0
        for line in lines:
            if "begin" in line:
                begun = line["begin"]
            elif "end" in line:
                self.played.ended.append(line["end"])
                self.played.gil |= line["gil"]
                self.played.seconds[line["end"]] = line["seconds"]
                for error, count in line["errors"].items():
                    self.played.errors[error] = self.played.errors.get(error, 0) + count
                if line["wrong"]:
                    self.played.events.append(
                        {"what": "wrong", "scenario": line["end"], "sentences": line["wrong"][:3]}
                    )
                read = self._races(text, line["reports"][0], line["reports"][1], line["end"])
        if begun is not None:
            self._races(text, read, len(text), begun)
        return begun

    def _races(self, text: str, start: int, end: int, scenario: str) -> int:
        for report in reports.parse(text[start:end]):
            found = reports.attribute(report, self.modules)
            self.played.events.append(
                {
                    "what": "race",
                    "scenario": scenario,
                    "kind": report["kind"],
                    **found,
                    "report": report["text"][:6000],
                }
            )
        return end


def adapt_for_sanitizer(scenario: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario for an interpreter that takes ten times as long and sees races without comparing results."""
    iterations = (
        scenario["iterations"] if scenario.get("once") else max(10, scenario["iterations"] // 3)
    )
    return {**scenario, "iterations": iterations, "observe": []}


def _watch(
    stage: "ForkServer", pid: int, progress: Path, interpreter: Interpreter, written: Path
) -> tuple[int, bool | None]:
    """Wait for a process to end or to hang; return its exit status and, of a hang, whether it was idle."""
    seen, since, used = (-1, -1), time.monotonic(), 0.0
    idle: bool | None = None
    while (status := stage.ended(_POLL_S)) is None:
        sizes = (_size(progress), _size(written))
        if sizes != seen:
            seen, since, used = sizes, time.monotonic(), _cpu_seconds(pid)
        elapsed = time.monotonic() - since
        if elapsed > interpreter.patience_s or sizes[1] > _MOST_REPORTS_BYTES:
            idle = (
                _cpu_seconds(pid) - used < 0.15 * elapsed
                if elapsed > interpreter.patience_s
                else None
            )
            if not interpreter.race:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGUSR1)
                time.sleep(0.5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            return stage.ended(10.0) or 0, idle
    return status, None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


class ForkServer:
    """A process that has imported the distribution and forks for every list of scenarios."""

    def __init__(
        self, interpreter: Interpreter, prelude: list[str], folder: str, prefix: str
    ) -> None:
        asked = Path(folder) / "prelude.json"
        asked.write_text(json.dumps({"modules": prelude, "keep": interpreter.race}))
        command = interpreter.program("forkserver", str(asked))
        self._dialogue = Dialogue(command, interpreter.program_environment(prefix), folder)

    def begin(self, request: dict[str, Any]) -> int | None:
        """Have a list of scenarios run; return the id of its process, or None where there is none to fork from."""
        answer = self._dialogue.answer(60.0) if self._dialogue.ask(request) else None
        return None if answer is None else int(answer["pid"])

    def ended(self, seconds: float) -> int | None:
        """Wait for the process in progress to end, for a while; return its exit status, negative for a signal."""
        answer = self._dialogue.answer(seconds)
        return None if answer is None else int(answer["status"])

    def close(self) -> None:
        """End it."""
        self._dialogue.close()


def _cpu_seconds(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _end(returncode: int, idle: bool | None, scenario: str, output: str) -> Event:  # noqa: FBT001 - None for no hang
    stack = "\n".join(output.splitlines()[-_STACK_LINES * 4 :][: _STACK_LINES * 2])
    if idle is not None:
        return {"what": "hang", "scenario": scenario, "idle": idle, "stack": stack}
    if died := _fault(returncode):
        return {"what": "crash", "scenario": scenario, "signal": died, "stack": stack}
    return {"what": "end", "scenario": scenario, "exit_code": returncode, "stack": stack}


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of a script ended.

    Attributes:
        what: what was seen: crash, hang, wrong, race; and `gil` where the GIL was on.
        races: places of the races, as sorted texts.
        output: what it printed.
    """

    what: frozenset[str]
    races: frozenset[tuple[str, ...]]
    output: str
    signal: str = ""


def run_script(
    interpreter: Interpreter, script: str, modules: set[str], *options: str, **more: str
) -> Run:
    """Run a replay script once.

    Args:
        interpreter: what runs it.
        script: its text.
        modules: file names of the package's extension modules.
        options: its arguments.
        more: further environment variables.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path, output = Path(scratch) / "replay.py", Path(scratch) / "output"
        path.write_text(script)
        prefix = str(Path(scratch) / "reports")
        timed_out = False
        with (
            output.open("wb") as sink,
            _process(
                [interpreter.python, str(path), *options],
                interpreter.environment(prefix, **more),
                scratch,
                sink,
                None if interpreter.race else memory.limit_address_space,
            ) as process,
        ):
            deadline = time.monotonic() + interpreter.patience_s
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            timed_out = process.poll() is None
            if timed_out and not interpreter.race:
                process.send_signal(signal.SIGABRT)
                time.sleep(0.5)
        text = output.read_text(errors="replace")[-8000:]
        told = "".join(
            found.read_text(errors="replace")[:_MOST_REPORTS_BYTES]
            for found in Path(scratch).glob("reports.*")
        )
    races = {
        tuple(found["places"]) for report in reports.parse(told)
        if (found := reports.attribute(report, modules))["owner"] == "package"
    }  # fmt: skip
    died = "" if timed_out else _fault(process.returncode)
    what = {"hang"} if timed_out else {"crash"} if died else set()
    what |= {"wrong"} if re.search(r"^WRONG:", text, re.MULTILINE) else set()
    what |= {"race"} if races else set()
    what |= {"gil"} if re.search(r"^GIL: on", text, re.MULTILINE) else set()
    return Run(frozenset(what), frozenset(races), text + told[:8000], died)


def _fault(returncode: int) -> str:
    """Return the signal by which a process died of its own fault; empty where it did not."""
    if returncode >= 0 or returncode in _ENDED_BY_OTHERS:
        return ""
    known = {one.value for one in signal.Signals}
    return signal.Signals(-returncode).name if -returncode in known else f"signal {-returncode}"


def deduplicate(events: Iterable[Event]) -> list[Event]:
    """Return one event of each kind and place, the one of the smallest scenario; the others are counted in `times`."""
    found: dict[tuple[Any, ...], Event] = {}
    for event in events:
        key = (event["what"], *(event.get("places") or [event["scenario"]]))
        if key in found:
            found[key]["times"] += 1
        else:
            found[key] = {**event, "times": 1}
    return list(found.values())


def write_answer(path: str, facts: dict[str, Any]) -> None:
    """Write facts where the farm collects them."""
    target = Path(path)
    target.write_text(json.dumps(facts))
    print(f"wrote {target.name}, {target.stat().st_size} bytes", flush=True)
    sys.stdout.flush()
