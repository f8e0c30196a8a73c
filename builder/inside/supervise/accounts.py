"""Users that code of packages runs as: a new one for each process, so that none can touch what another one left."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

_FIRST_ID = 20_000
"""Above all users that images know, and below the 65,536 that a user namespace usually has."""

_PATIENCE_S = 20.0
"""For the kernel to end processes; one that swaps memory or writes a core may take seconds."""
_POLL_S = 0.01

_unused_ids: list[Iterator[int]] = []
"""Ids of users that nothing runs as yet; empty where this process does not supervise, as in unit tests."""


class SupervisionError(RuntimeError):
    """The supervisor cannot keep itself apart from a package: nothing it says would be worth anything."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user that code of a package runs as.

    Attributes:
        uid: the id of the user, and of its only group; None for the user of this process.
    """

    uid: int | None

    def popen_options(self) -> dict[str, Any]:
        """Return the arguments of subprocess.Popen that start a process as this user, without any other group."""
        if self.uid is None:
            return {}

        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    def owns(self, pid: int) -> bool:
        """Return whether a process, which code of a package named, is one that this user runs."""
        if self.uid is None:
            return pid > 1 and pid != os.getpid()

        return pid > 1 and _is_running_as(Path(f"/proc/{pid}"), self.uid)

    def stop_processes(self) -> set[int]:
        """Stop every process of this user until `resume_processes`; return their ids.

        Raises:
            SupervisionError: there are more and more of them.
        """
        if self.uid is None:
            return set()

        deadline = time.monotonic() + _PATIENCE_S
        stopped_pids: set[int] = set()
        running_pids = find_processes(self.uid)
        # What is stopped starts no others: when no new ones are there, none can come.
        while not running_pids <= stopped_pids:
            _signal_all(running_pids, signal.SIGSTOP)
            stopped_pids = running_pids
            running_pids = find_processes(self.uid)
            if time.monotonic() > deadline:
                raise SupervisionError(f"processes of user {self.uid} cannot be stopped")

        return running_pids

    def resume_processes(self, pids: set[int]) -> None:
        """Let processes go on that `stop_processes` stopped."""
        _signal_all(pids, signal.SIGCONT)

    def end_processes(self) -> None:
        """Kill every process of this user, wherever it went; nothing happens for the user of this process.

        All are stopped before any is killed, so that none is missed.

        Raises:
            SupervisionError: some of them cannot be killed.
        """
        if self.uid is None:
            return

        deadline = time.monotonic() + _PATIENCE_S
        while pids := self.stop_processes():
            _signal_all(pids, signal.SIGKILL)
            time.sleep(_POLL_S)
            if time.monotonic() > deadline:
                raise SupervisionError(f"{len(pids)} processes of user {self.uid} cannot be ended")


OWN = Account(None)
"""The user of this process."""


def supervise() -> None:
    """Make this process the supervisor: from now on `take_account` gives users of their own.

    Raises:
        SupervisionError: it is not root, and cannot start anything as another user.
    """
    if os.geteuid() != 0:
        raise SupervisionError(
            f"{Path(sys.argv[0]).name} runs as user {os.geteuid()}: only root can keep apart from a package"
        )
    _unused_ids[:] = [count(_FIRST_ID)]


def take_account() -> Account:
    """Return a user that nothing has run as; the user of this process where that does not supervise."""
    return Account(next(_unused_ids[0])) if _unused_ids else OWN


def name_user(home: str) -> dict[str, str]:
    """Return the variables that tell a process who it is: its user is in no table of users.

    Args:
        home: the folder in which it may write.
    """
    return {"HOME": home, "USER": "farm", "LOGNAME": "farm"}


def find_processes(uid: int) -> set[int]:
    """Return the ids of a user's processes, without those that have ended and only wait to be noticed."""
    pids: set[int] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and _is_running_as(folder, uid):
            pids.add(int(folder.name))

    return pids


def _is_running_as(folder: Path, uid: int) -> bool:
    """Return whether a folder of /proc is of a process of a user that has not ended yet.

    The owner of the folder would not do: a process can make it root's (PR_SET_DUMPABLE).
    """
    try:
        status = (folder / "status").read_text(errors="replace")
    except OSError:  # it ended in between
        return False

    fields: dict[str, str] = {}
    for line in status.splitlines():
        name, _, value = line.partition(":")
        fields[name] = value
    state = fields.get("State", "").split()[:1]
    real_uid = fields.get("Uid", "").split()[:1]

    return real_uid == [str(uid)] and state not in (["Z"], ["X"])


def _signal_all(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:  # it has ended
            continue
