"""The state of a process's GIL, seen from outside: what the process says of it does not count."""

import contextlib
import os
import subprocess
from enum import StrEnum

from .accounts import Account

_STATE_BYTES = 4  # of the number that says whether the GIL is on: a C int
_READ_S = 20.0  # for a program that reads four bytes; not measured


class GilState(StrEnum):
    """What the supervisor saw of a process's GIL by looking at its memory."""

    OFF = "off"
    ON = "on"
    HIDDEN = "hidden"
    """It could be seen before a package was imported, and cannot be any more."""


class GilWatch:
    """Looks at the state of a process's GIL when the process asks for it, and lets it go on.

    Attributes:
        address: where the process has the state of its GIL, as it said before it imported anything; None to look
            nowhere.
        pid: the process that is looked at: the one that was started, or one that it forked; None while it is not known,
            and whoever asks to be looked at waits.
        states: what was seen each time; None where nothing can be seen here.
    """

    def __init__(self, account: Account, pid: int, descriptor: int) -> None:
        """Prepare.

        Args:
            account: who runs the process.
            pid: the process that was started.
            descriptor: of the pipe by which it is told to go on; it is closed here.
        """
        self.address: int | None = None
        self.pid: int | None = pid
        self.states: list[GilState | None] = []
        self._account = account
        self._descriptor = descriptor

    def look(self) -> None:
        """Look at the state of the GIL, and let the process go on.

        All processes of the user are stopped meanwhile: none can do anything about it. Where there is nothing to see,
        none is stopped.
        """
        if self.address is None:
            self.states.append(None)
        else:
            stopped_pids = self._account.stop_processes()
            self.states.append(self._find_state())
            self._account.resume_processes(stopped_pids)
        self.release()

    def look_before_imports(self, address: int) -> None:
        """Look for the first time, at a process that waits and has nothing of the package yet.

        Args:
            address: where it has the state of its GIL.
        """
        self.address = address
        self.states.append(self._find_state())

    def release(self) -> None:
        """Let the process go on, which waits until it was looked at."""
        with contextlib.suppress(OSError):  # it has ended
            os.write(self._descriptor, b"\n")

    def close(self) -> None:
        """Close the pipe; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _find_state(self) -> GilState | None:
        """Return what can be seen now."""
        if self.address is None or self.pid is None:
            return None

        state = _read_state(self._account, self.pid, self.address)
        could_be_seen = bool(self.states) and self.states[0] is not None
        return GilState.HIDDEN if state is None and could_be_seen else state


def _read_state(account: Account, pid: int, address: int) -> GilState | None:
    """Return the state of a process's GIL by reading its memory; None where that is not possible.

    Only the same user may do that, by a program that is started for it.

    Args:
        account: who runs the process.
        pid: the process.
        address: where it has the number that is 0 while the GIL is off.
    """
    command = [
        "dd",
        f"if=/proc/{pid}/mem",
        "bs=4",
        f"skip={address // 4}",
        "count=1",
        "status=none",
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=_READ_S,
            stdin=subprocess.DEVNULL,
            **account.popen_options(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if len(done.stdout) != _STATE_BYTES:
        return None

    return GilState.ON if any(done.stdout) else GilState.OFF
