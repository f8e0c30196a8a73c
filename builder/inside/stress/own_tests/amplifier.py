"""Fork this process at a native call that a package's own test makes, and let threads of the child make it.

The child has the live object and the live arguments. It makes this call and others that were seen on the same type, by
several threads at once, says what came of it, and ends; the parent waits, and goes on as if nothing had been.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..calls.live_calls import CallReader, LiveCall, stop_watching, watch_calls
from ..calls.recording import Recorder
from ..calls.values import OF_NEW_OBJECTS
from ..play.endings import name_fatal_signal, read_cpu_seconds
from . import live_trial
from .live_trial import Partner, Trial
from .planner import Planner
from .selection import PartLog

# Bound before a package is imported, which may replace them in their modules.
_get_pid, _fork, _wait, _kill, _end, _write, _now = (
    os.getpid,
    os.fork,
    os.waitpid,
    os.killpg,
    os._exit,
    os.write,
    time.monotonic,
)

_MOST_VARIANTS = 4  # calls of one callable with other arguments
_MOST_VARIANTS_BESIDE = 16  # calls beside one
_REPEATED = 2  # times that a trial which did harm is tried again, as long as the object is there
_IDLE_SHARE = 0.4  # of a child's time: one that takes no CPU for so long waits for something
_POLL_S = 0.05
_STACKS_S = 0.4  # for the fault handler to write where all threads are
_MOST_ANSWER_BYTES = 1 << 20
_LONGEST_SOURCE = 200  # characters of the name of a test
_CACHED_FILES = 50_000


@dataclass(kw_only=True, slots=True)
class Settings:
    """What an amplifier goes by.

    Attributes:
        threads: of a child.
        seconds: for all children together; 0 to fork nothing, and only record.
        child_s: for one child.
        is_race: whether a race detector watches.
        mark: what is written to standard error before and after what a child writes there.
    """

    threads: int
    seconds: float
    child_s: float
    is_race: bool
    mark: str


@dataclass(slots=True)
class _Ending:
    """How a child ended, `ok`, `crash`, `hang`, `late` or `end`; with what it said, and whether it was idle."""

    status: str
    answer: dict[str, Any] = field(default_factory=dict)
    signal: str = ""
    is_idle: bool = False


class Amplifier:
    """Watches the calls of a process, and tries some of them in children.

    Attributes:
        source: the test or example that runs.
        is_waiting: whether a child runs.
        recorder: keeps how native code was called.
        parts: notes which test or document calls what.
    """

    def __init__(
        self,
        reader: CallReader,
        recorder: Recorder,
        settings: Settings,
        say: Callable[[dict[str, Any]], None],
        *,
        site: str,
        tests: str | None,
        awaited: Iterable[str] = (),
        banned: Iterable[str] = (),
    ) -> None:
        """Prepare to watch.

        Args:
            reader: recognises calls of the package's native code.
            recorder: keeps them.
            settings: how much to try.
            say: takes a record of each trial.
            site: the folder that the package is installed in. The calls of code that is neither there nor in `tests`
                are forgotten where they reach nothing native at first.
            tests: the folder of its tests; None where there is none.
            awaited: callables that will be called, as far as that is known.
            banned: callables that threads do not make.
        """
        self.source = ""
        self.is_waiting = False
        self.recorder = recorder
        self.planner = Planner(awaited, banned)
        self.parts = PartLog()
        self._reader = reader
        self._settings = settings
        self._say = say
        self._site = f"{site}/"
        self._own_files = (self._site, f"{tests or site}/")
        self._is_own: dict[
            str, bool
        ] = {}  # by file: code of equal content is equal, whatever file it is in
        self._partners: dict[type | None, dict[str, list[Partner]]] = {}
        self._spent_s = 0.0
        self._trials = 0
        self._is_busy = False
        self._pid = _get_pid()
        self._tasks = _count_tasks()
        self._disable = sys.monitoring.DISABLE  # type: ignore[attr-defined] # the farm's interpreter may be older

    def start(self) -> None:
        """Begin to watch."""
        watch_calls(self._note, self._note_raised)

    def stop(self) -> None:
        """Watch no more."""
        stop_watching()

    def _note(self, code: types.CodeType, offset: int, function: object, first: object) -> object:
        """Look at a call that is about to be made; monitoring calls this for every call."""
        if self._is_busy:
            return None
        frame = sys._getframe(1)  # noqa: SLF001 - the only way to the frame that makes the call
        if frame.f_code is not code:
            return None

        self._is_busy = True
        try:
            call = self._reader.read(frame, code, offset, function, first)
            if call is None:
                return None if self._belongs_to_package(code) else self._disable
            self._consider(call, frame)
        except (
            Exception
        ):  # what a package's object does when it is looked at must not become the test's fault
            return None
        finally:
            self._is_busy = False

        return None

    def _note_raised(self, code: types.CodeType, offset: int, _: object, __: object) -> object:
        """Look at a call that raised; monitoring calls this for every such call of what is not Python code."""
        if not self._is_busy:
            self.parts.forget((id(code), offset))
        return None

    def _belongs_to_package(self, code: types.CodeType) -> bool:
        """Return whether code is the package's or its tests': what it calls may be another thing each time."""
        file = code.co_filename
        if file not in self._is_own:
            if len(self._is_own) > _CACHED_FILES:
                self._is_own.clear()
            is_own = file.startswith(self._own_files)
            # The code of examples, but not that of imports.
            is_example = file.startswith("<")
            is_frozen = file.startswith("<frozen ")
            self._is_own[file] = is_own or (is_example and not is_frozen)

        return self._is_own[file]

    def _consider(self, call: LiveCall, frame: types.FrameType) -> None:
        """Keep a call, and try it if it is worth that and possible."""
        if _get_pid() != self._pid:  # a test has forked: what it does there is its own affair
            return
        by_package = self._is_by_package(call, frame)
        is_native = bool(call.name)  # of Python code, only the results are of interest
        is_of_new_object = call.name.rpartition(".")[2] in OF_NEW_OBJECTS
        is_offered = self._reader.is_offered(call, by_package=by_package)
        if not is_native or is_of_new_object or not is_offered:
            self.recorder.note(call)
            return

        home = call.makes if call.receiver is None else type(call.receiver)
        partners = self._partners.setdefault(home, {})
        others = [name for name in partners if name != call.name]
        spent = self._spent_s / self._settings.seconds if self._settings.seconds else 1.0

        is_due = self.planner.is_due(call.name, others, spent)
        may_fork = (is_due or self.parts.is_wanted(call.name)) and self._may_fork(frame)
        if may_fork:
            self.parts.note(call.name, (id(frame.f_code), frame.f_lasti))
        if is_due and may_fork:
            chosen = self.planner.choose(call.name, others)
            self.planner.note_trial(call.name, chosen)
            # Its own variants too: other arguments may take another way through it.
            variants = list(partners.get(call.name, ()))
            for name in chosen:
                variants += partners[name]
            self._try(call, variants[:_MOST_VARIANTS_BESIDE])
        # What it does changes the object: it was tried before it is noted.
        self.recorder.note(call)
        partner = live_trial.keep_partner(call, self.recorder.show_arguments(call))
        if partner is not None:
            _keep_variant(partners.setdefault(call.name, []), partner, self.planner.seen[call.name])

    def _is_by_package(self, _call: LiveCall, frame: types.FrameType) -> bool:
        """Return whether a call is made by the code of the package whose native code it reaches."""
        return frame.f_code.co_filename.startswith(self._site)

    def _may_fork(self, frame: types.FrameType) -> bool:
        """Return whether a child would have all it needs: there is one thread, and it is in no native code."""
        return _count_tasks() <= self._tasks and not self._reader.is_in_native_code(frame.f_back)

    def _try(self, call: LiveCall, partners: list[Partner]) -> None:
        """Try a call in a child, and say what came of it; what did harm is tried again, and once in one thread."""
        began = _now()
        trial = live_trial.plan_trial(call, partners, self.recorder, self._settings.threads)
        ending = self._run(trial, alone=False)
        record = trial.describe()
        record |= {"trial": self._trials, "source": self.source[:_LONGEST_SOURCE]}
        record |= {"status": ending.status, "signal": ending.signal, "idle": ending.is_idle}
        for name in ("errors", "wrong", "returned", "iterations", "shares"):
            record[name] = ending.answer.get(name, record.get(name))

        if ending.status == "late":
            self.planner.ban(trial.own_name)
        is_harm = ending.status in {"crash", "hang"} or bool(ending.answer.get("wrong"))
        if is_harm:
            record["arms"] = self._repeat(trial, ending)
        self._say(record)
        self._trials += 1
        self._spent_s += _now() - began

    def _repeat(self, trial: Trial, first: _Ending) -> dict[str, list[int]]:
        """Return how often further children showed the same, in one thread and with all of them.

        What waits in one thread as well waits by design, for what the test would have done next: it is not tried again,
        for each time takes long.
        """
        times = 1 if first.status == "hang" else _REPEATED
        alone = 0
        for _ in range(times):
            alone += _is_alike(self._run(trial, alone=True, is_marked=False), first)
        if alone and first.status == "hang":
            self.planner.ban(trial.own_name)
            return {"shared": [1, 1], "alone": [alone, times]}

        shown = 1
        for _ in range(times):
            shown += _is_alike(self._run(trial, alone=False, is_marked=False), first)

        return {"shared": [shown, 1 + times], "alone": [alone, times]}

    def _run(self, trial: Trial, *, alone: bool, is_marked: bool = True) -> _Ending:
        """Run a trial in a child.

        Args:
            trial: the trial.
            alone: whether one thread makes all its calls.
            is_marked: whether to mark in standard error what the child writes there.
        """
        settings = self._settings
        reading, writing = os.pipe()
        if is_marked:
            self._write_mark("<")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a sanitizer has a thread of its own
            pid = _fork()
        if pid == 0:
            try:
                self._enter_child()
                answer = live_trial.run(
                    trial,
                    threads=1 if alone else settings.threads,
                    longest_s=settings.child_s / 2,
                    is_race=settings.is_race,
                    kept=writing,
                )
                _write(writing, json.dumps(answer)[:_MOST_ANSWER_BYTES].encode())
            finally:
                _end(0)

        os.close(writing)
        self.is_waiting = True
        try:
            return self._await(pid, reading, wants_stacks=is_marked)
        finally:
            self.is_waiting = False
            os.close(reading)
            if is_marked:
                self._write_mark(">")

    def _write_mark(self, sign: str) -> None:
        """Say in standard error where what a child writes there begins, by `<`, or ends, by `>`."""
        _write(2, f"\n{self._settings.mark} {self._trials} {sign}\n".encode())

    def _enter_child(self) -> None:
        """Prepare the child for a trial, before anything else; here there is nothing to do."""

    def _await(self, pid: int, reading: int, *, wants_stacks: bool) -> _Ending:
        """Wait for a child, and kill it when its time is up.

        Args:
            pid: its id.
            reading: the pipe through which it answers.
            wants_stacks: whether the fault handler of one that hangs writes the stacks of all threads.
        """
        deadline = _now() + self._settings.child_s
        received = b""
        is_open, is_idle = True, False
        busy_at, cpu_s = _now(), 0.0
        while is_open and not is_idle and _now() < deadline:
            ready, _, _ = select.select([reading], [], [], _POLL_S)
            if ready:
                part = os.read(reading, 1 << 16)
                received += part
                is_open = bool(part) and len(received) <= _MOST_ANSWER_BYTES
                continue

            used_s = read_cpu_seconds(pid)
            if used_s > cpu_s:
                busy_at, cpu_s = _now(), used_s
            # A sanitizer waits for what looks up the lines of its reports.
            may_wait = self._settings.is_race
            is_idle = not may_wait and _now() - busy_at > _IDLE_SHARE * self._settings.child_s

        status = 0
        if is_open:
            if (
                wants_stacks and not self._settings.is_race
            ):  # there, the fault handler itself would be reported
                os.kill(pid, signal.SIGUSR1)
                time.sleep(_STACKS_S)
            _end_group(pid)
            _wait(pid, 0)
            # Under a sanitizer everything is slow: what hangs is seen without it.
            return _Ending("late" if self._settings.is_race else "hang", is_idle=is_idle)

        _, status = _wait(pid, 0)
        _end_group(pid)
        exit_code = os.waitstatus_to_exitcode(status)
        signal_name = name_fatal_signal(exit_code)
        if signal_name:
            return _Ending("crash", signal=signal_name)
        try:
            answer = json.loads(received)
        except ValueError:
            return _Ending("end")

        return _Ending("ok", answer=answer if isinstance(answer, dict) else {})


def _keep_variant(kept: list[Partner], partner: Partner, seen: int) -> None:
    """Keep a call among a few others of the same callable, unless it is there: a later one takes the place of another.

    Args:
        kept: the others.
        partner: the call.
        seen: how often the callable was called so far.
    """
    if any(other.text == partner.text for other in kept):
        return
    if len(kept) < _MOST_VARIANTS:
        kept.append(partner)
    else:
        kept[seen % _MOST_VARIANTS] = partner


def _is_alike(ending: _Ending, first: _Ending) -> bool:
    """Return whether a child ended as another did."""
    if ending.status != first.status:
        return False
    return first.status != "ok" or bool(ending.answer.get("wrong"))


def _end_group(pid: int) -> None:
    """Kill a child with all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        _kill(pid, signal.SIGKILL)


def _count_tasks() -> int:
    """Return how many threads this process has, those that Python does not know among them."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names alone
