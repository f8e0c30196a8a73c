"""Find operations after which others end the process, in one thread: whatever is played with them shows that alone."""

import contextlib
import faulthandler
import mmap
import os
import signal
import time
from collections.abc import Sequence

from ..calls.learnt import Operation
from .evaluator import Evaluator

_PATIENCE_S = 2.0
"""For a child to make all calls on one subject, each of which takes milliseconds at most."""
_POLL_S = 0.002
_TIMES = 2  # so that each call comes after each other one
_NUMBER_BYTES = 4
_MOST_VICTIMS = 8
"""Calls that end a child, of one subject: each takes some children more, and forking takes some milliseconds."""

_DEADLY = frozenset({
    signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
})  # fmt: skip
"""How a process ends whose memory is damaged."""


def find_spoilers(
    evaluator: Evaluator, make: str, operations: Sequence[Operation]
) -> list[Operation]:
    """Return the operations on a subject after which others end the process; most often there are none.

    `s.detach()`, after which `s.text()` reads what is no longer there. All are tried in children that are forked for
    it. A call that ends a child, though no single call before it does that to it, is returned in the place of what
    spoils it.

    Args:
        evaluator: makes calls.
        make: an expression that makes the subject.
        operations: what can be done with it, in one thread and alone.
    """
    sound = [operation for operation in operations if "argument" not in operation]
    spoiling: set[tuple[str, ...]] = set()
    for _ in range(_MOST_VICTIMS):
        victim = _find_victim(evaluator, make, sound)
        if victim is None:
            break

        causes: list[Operation] = []
        for other in _choose_one_of_each(sound):
            if _find_victim(evaluator, make, [other, victim]) is not None:
                causes.append(other)
        for operation in causes or [victim]:
            spoiling.add(tuple(operation["native"]))
        sound = [operation for operation in sound if tuple(operation["native"]) not in spoiling]

    return [operation for operation in operations if tuple(operation["native"]) in spoiling]


def _choose_one_of_each(operations: Sequence[Operation]) -> list[Operation]:
    """Return the first operation for each set of native callables."""
    chosen: dict[tuple[str, ...], Operation] = {}
    for operation in operations:
        chosen.setdefault(tuple(operation["native"]), operation)

    return list(chosen.values())


def _find_victim(
    evaluator: Evaluator, make: str, operations: Sequence[Operation]
) -> Operation | None:
    """Return the operation that ends a child which makes all of them on one subject; None where none does.

    They are made one after the other, and once more. A child that takes too long, or ends in another way than by
    damage, is let off: nobody knows what it shows.
    """
    if len(operations) < 2:  # noqa: PLR2004 - one comes after another
        return None

    with mmap.mmap(-1, mmap.PAGESIZE) as begun:  # shared with the child: which operation it makes
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()  # it is expected, and told by how the child ends
            with contextlib.suppress(BaseException):
                subject = evaluator.make(make)
                for _ in range(_TIMES):
                    for number, operation in enumerate(operations):
                        begun[:_NUMBER_BYTES] = number.to_bytes(_NUMBER_BYTES)
                        evaluator.evaluate(operation["text"], subject)
            os._exit(0)

        status = _await(pid)
        is_damaged = os.WIFSIGNALED(status) and os.WTERMSIG(status) in _DEADLY
        return operations[int.from_bytes(begun[:_NUMBER_BYTES])] if is_damaged else None


def _await(pid: int) -> int:
    """Wait for a child, which is killed where it takes too long; return how it ended, as os.waitpid has it."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(_POLL_S)

    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]
