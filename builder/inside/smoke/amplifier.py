"""The amplifier of an application's process: what is tried there, and what is left out so that it stays as it is."""

import os
import signal
import sys
import time
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..stress.calls.live_calls import CallReader, LiveCall
from ..stress.calls.recording import Recorder
from ..stress.calls.values import OF_NEW_OBJECTS
from ..stress.own_tests.amplifier import Amplifier, Settings
from ..stress.own_tests.live_trial import Trial
from .places import Place, Places, is_guarded, is_importing
from .surface import GrowingSurface

_now = time.monotonic

_PATIENCE_ALONE = 2
"""How many times the usual time a child gets that was busy when it was killed: its calls may be slow."""

_PATIENCE = 5
"""The same for several threads, which may have to share one CPU."""

_MORE_OF_RARE = 4
"""Children by which it is decided, with several threads and with one each, what was shown once of three times."""

_STANDARD_ERROR = 2
_LONGEST_CALL = 300  # characters

Record = dict[str, Any]


class CommandReader(CallReader):
    """Recognises native calls of modules that are imported while it reads."""

    def __init__(self, surface: GrowingSurface, known: dict[int, str]) -> None:
        """Prepare to read.

        Args:
            surface: grows with what is imported.
            known: is given the public name of each class and function, by id.
        """
        super().__init__(surface)
        self._growing = surface
        self._known = known

    def read(
        self,
        frame: types.FrameType,
        code: types.CodeType,
        offset: int,
        function: object,
        first: object,
    ) -> LiveCall | None:
        """Return the call that an instruction is about to make, as CallReader does; look for new modules before."""
        if self._growing.has_changed and not is_importing(frame):
            self._look_again()
        return super().read(frame, code, offset, function, first)

    def _look_again(self) -> None:
        """Take in what was imported; calls that were forgotten may reach something native now."""
        if self._growing.grow():
            self.refresh()
            self._known.update(self._public_names)
            sys.monitoring.restart_events()  # type: ignore[attr-defined] # the farm's own interpreter may be older


class CommandAmplifier(Amplifier):
    """Watches a process of an application, which may do with threads, children and locks what it likes.

    Attributes:
        skipped: how often a call was not tried, by the reason.
    """

    def __init__(
        self,
        surface: GrowingSurface,
        settings: Settings,
        say: Callable[[Record], None],
        *,
        places: Places,
        until: float,
    ) -> None:
        """Prepare to watch.

        Args:
            surface: the native callables of all distributions.
            settings: how much to try.
            say: takes a record of each trial.
            places: tells the application's code from that of packages.
            until: after which time, of the monotonic clock, nothing is tried.
        """
        known: dict[int, str] = {}
        reader = CommandReader(surface, known)
        recorder = Recorder(known, surface.types)
        super().__init__(reader, recorder, settings, self._tell, site=places.site, tests=None)
        self.skipped: Counter[str] = Counter()
        self._surface = surface
        self._tell_record = say
        self._places = places
        self._until = until
        self._frame: types.FrameType | None = None
        self._native_count = 0
        self._homes: set[str] = set()
        self._kinds: dict[str, bool] = {}

    def _belongs_to_package(self, code: types.CodeType) -> bool:
        """Return whether code is the application's own: what it calls may be another thing each time.

        So may what a distribution calls that has native code; that of others is let go, which is most of it.
        """
        if self._surface.homes != self._homes:
            self._homes = set(self._surface.homes)
            self._kinds.clear()
        file = code.co_filename
        if file not in self._kinds:
            is_library = file.startswith(self._places.libraries)
            self._kinds[file] = not is_library or self._find_home(file) in self._homes

        return self._kinds[file]

    def _find_home(self, file: str) -> str:
        """Return the distribution that a file is of; empty for none."""
        if not file.startswith(self._places.site):
            return ""
        name = file.removeprefix(self._places.site).removesuffix(".py").replace("/", ".")
        return self._surface.find_distribution(name)

    def _is_by_package(self, call: LiveCall, frame: types.FrameType) -> bool:
        """Return whether a call is made by code of the distribution that it reaches."""
        home = self._find_home(frame.f_code.co_filename)
        return bool(home) and home == self._surface.find_distribution(call.name)

    def _consider(self, call: LiveCall, frame: types.FrameType) -> None:
        """Keep a call, and try it if it is worth that and possible."""
        if call.name.rpartition(".")[2] in OF_NEW_OBJECTS:
            return
        if len(self._surface.natives) != self._native_count:
            self._native_count = len(self._surface.natives)
            self._allow_pools()
        self._frame = frame
        try:
            super()._consider(call, frame)
        finally:
            self._frame = None

        is_met = bool(self.planner.seen[call.name])
        is_late = self._spent_s >= self._settings.seconds
        if is_met and is_late and not self.planner.forks[call.name]:
            self.skipped["time"] += 1

    def _allow_pools(self) -> None:
        """Take threads that Python does not know for those of a library's pool, which an import has started.

        Such a library begins anew in a child, as BLAS does, or waits there in one thread as well.
        """
        if len(sys._current_frames()) == 1:  # noqa: SLF001 - the only way to know of all of Python's threads
            self._tasks = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names alone

    def _may_fork(self, frame: types.FrameType) -> bool:
        """Return whether a child would have all it needs, and this process would not notice."""
        obstacle = self._find_obstacle(frame)
        if obstacle:
            self.skipped[obstacle] += 1
            return False

        may_fork = super()._may_fork(frame)
        if not may_fork:
            self.skipped["threads"] += 1
        return may_fork

    def _find_obstacle(self, frame: types.FrameType) -> str:
        """Return why a call is not tried; empty where nothing speaks against it."""
        if _now() > self._until:
            return "time"
        if sys._is_gil_enabled():  # type: ignore[attr-defined] # noqa: SLF001 - its public way to ask
            return "gil"
        if self._reader.is_in_native_code(frame.f_back):
            return "native"
        # Whoever is told that a child has ended would be told of ours.
        if signal.getsignal(signal.SIGCHLD) is not signal.SIG_DFL:
            return "children"
        return "lock" if is_guarded(frame) else ""

    def _write_mark(self, sign: str) -> None:
        """Write nothing: what the application prints stays as it is."""

    def _enter_child(self) -> None:
        """Let the child print nothing: it has the application's standard error."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STANDARD_ERROR)
        os.close(nowhere)

    def _repeat(self, trial: Trial, first: Any) -> dict[str, list[int]]:  # noqa: ANN401 - its own kind of ending
        """Return how often further children showed the same.

        What was busy when it was killed gets more time, and what luck decides, as most crashes, more children.
        """
        if first.status != "hang":
            return self._repeat_rare(trial, first, super()._repeat(trial, first))
        if first.is_idle:
            return super()._repeat(trial, first)

        if self._run_for(trial, _PATIENCE_ALONE, alone=True) == "hang":
            self.planner.ban(trial.own_name)
            return {"shared": [1, 1], "alone": [1, 1]}

        shown = self._run_for(trial, _PATIENCE, alone=False) == "hang"
        return {"shared": [1 + shown, 2], "alone": [0, 1]}

    def _repeat_rare(
        self,
        trial: Trial,
        first: Any,  # noqa: ANN401 - its own kind of ending
        arms: dict[str, list[int]],
    ) -> dict[str, list[int]]:
        """Return how often it was shown, with further children where several threads showed it only once so far."""
        is_undecided = arms["shared"][0] == 1 and not arms["alone"][0]
        if not is_undecided:
            return arms

        for name, counts in arms.items():
            for _ in range(_MORE_OF_RARE):
                ending = self._run(trial, alone=name == "alone", is_marked=False)
                counts[0] += _is_alike(ending, first)
                counts[1] += 1

        return arms

    def _run_for(self, trial: Trial, patience: int, *, alone: bool) -> str:
        """Run a trial in a child that gets some times the usual time; return how it ended."""
        usual_s = self._settings.child_s
        self._settings.child_s = patience * usual_s
        try:
            return self._run(trial, alone=alone, is_marked=False).status
        finally:
            self._settings.child_s = usual_s

    def _tell(self, record: Record) -> None:
        """Say what came of a trial, and where the call is made."""
        frame = self._frame
        line = self._places.find_line(frame) if frame is not None else None
        caller = self._places.describe(frame) if frame is not None else None
        names: dict[str, str] = record["names"]
        own_text = record["rows"][0][0]
        own_name = names.get(own_text, "")
        returned = {names[text] for text in record["returned"] or () if names.get(text)}
        others = {name for name in names.values() if name and name != own_name}

        told: Record = {
            "name": own_name,
            "distribution": self._surface.find_distribution(own_name),
            "kind": record["kind"],
            "shares": _is_shared(record),
            "status": record["status"],
            "signal": record["signal"],
            "call": own_text[:_LONGEST_CALL],
            "beside": sorted(others),
            "returned": sorted(returned),
            "wrong": list(record["wrong"] or ()),
            "arms": record.get("arms") or {},
            "line": _write_place(line),
            "caller": _write_place(caller),
        }
        self._tell_record(told)


def _is_alike(ending: Any, first: Any) -> bool:  # noqa: ANN401 - of the amplifier's own kind
    """Return whether a child that did harm ended as another one."""
    is_same = bool(ending.status == first.status)
    return is_same and (ending.status != "ok" or bool(ending.answer.get("wrong")))


def _is_shared(record: Record) -> bool:
    """Return whether threads of a trial had an object, or an argument, in common.

    A child that died could not say so: arguments that no expression can make may have been shared.
    """
    if record["kind"] == "method":
        return True
    if record["shares"] is None:
        return not record["expressible"]
    return bool(record["shares"])


def _write_place(place: Place | None) -> list[str | int] | None:
    return None if place is None else list(place)
