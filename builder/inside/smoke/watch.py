"""Watch this process of an application's command, as its supervisor asks through a pipe.

The environment names pairs of descriptors, `REQUEST:RECORDS,...`, one for each Python process of the command: the first
that reads a request has it for itself. A request is one line of JSON, short enough to be read at once, with `token`,
`descriptor` and `request`, which has `threads`, `seconds` (for all trials), `child_s` (for one), `until` (when trials
end, on the monotonic clock) and `packages`, a file of JSON with `modules` (the distribution by import name), `natives`
(import names of extension modules), `site`, `project` and `environment` (folders).

A record has `begun`; `trial`, what amplifier.py says of one; or `summary`, with `calls` (how often each native callable
was called) and `skipped` (how often a call was not tried, by the reason), the last of which counts.
"""

import atexit
import builtins
import contextlib
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

from ..stress.own_tests.amplifier import Settings
from ..supervise.witness import Witness
from .amplifier import CommandAmplifier, Record
from .places import Places
from .surface import GrowingSurface

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

VARIABLE = "WHEELFARM_WATCH"
"""Has the pairs of descriptors. It is taken away here: what this process starts is not watched."""

_MOST_REQUEST_BYTES = 4096  # what a pipe gives to one reader (pipe(7))
_SAY_EVERY_S = 0.5
_MOST_RECORDS = 2000  # trials that are told of

_now = time.monotonic


class Watch:
    """Tells the supervisor what the amplifier tries."""

    def __init__(self, asked: dict[str, Any]) -> None:
        """Prepare.

        Args:
            asked: the supervisor's line.
        """
        request = asked["request"]
        packages = json.loads(Path(request["packages"]).read_text())
        self._witness = Witness(asked["token"], asked["descriptor"])
        self._said_at = _now()
        self._records = 0
        self._settings = Settings(
            threads=request["threads"],
            seconds=request["seconds"],
            child_s=request["child_s"],
            is_race=False,
            mark="",
        )
        self._amplifier = CommandAmplifier(
            GrowingSurface(packages["modules"], packages["natives"]),
            self._settings,
            self._say_trial,
            places=Places(packages["site"], packages["project"], packages["environment"]),
            until=request["until"],
        )

    def start(self) -> None:
        """Begin to watch, until the interpreter ends."""
        self._witness.write({"begun": True})
        atexit.register(self._end)
        self._amplifier.start()

    def _end(self) -> None:
        # The application may have closed the pipe: that is no fault of which it should hear.
        with contextlib.suppress(OSError):
            self._amplifier.stop()
            self._say_summary()
            self._witness.close()

    def _say_trial(self, record: Record) -> None:
        self._records += 1
        if self._records <= _MOST_RECORDS:
            self._witness.write({"trial": record})
        if _now() - self._said_at > _SAY_EVERY_S:
            self._say_summary()

    def _say_summary(self) -> None:
        self._said_at = _now()
        calls = dict(self._amplifier.planner.seen)
        self._witness.write({"summary": {"calls": calls, "skipped": dict(self._amplifier.skipped)}})


def take_request(pairs: str) -> dict[str, Any] | None:
    """Return the first request that no other process has taken; None where there is none. All other pipes are closed.

    Args:
        pairs: the descriptors, as the environment has them.
    """
    taken: dict[str, Any] | None = None
    for pair in pairs.split(","):
        asking, answering = (int(number) for number in pair.split(":"))
        # What has closed these may have other files under their numbers.
        if not (_is_pipe(asking) and _is_pipe(answering)):
            continue

        line = os.read(asking, _MOST_REQUEST_BYTES) if taken is None else b""
        os.close(asking)
        if line:
            os.set_inheritable(answering, False)  # noqa: FBT003 - that is how it is called
            taken = json.loads(line)
        else:
            os.close(answering)

    return taken


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def begin() -> None:
    """Watch this process, if there is a request for it and it is an interpreter that can be watched."""
    pairs = os.environ.pop(VARIABLE, "")
    if not pairs:
        return

    asked = take_request(pairs)
    if asked is not None:
        Watch(asked).start()

    # Nothing of the application may meet these programs, nor they its modules of the same names.
    package = __name__.partition(".smoke")[0]
    for name in list(sys.modules):
        if name == package or name.startswith(f"{package}."):
            del sys.modules[name]
