"""Ctrl-C and a termination signal: commands end with the code of an interruption, runs end what they started first."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

from builder.cli.output import print_error
from builder.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

_GRACE_S = 1.0  # a person who pressed Ctrl-C waits no longer before pressing it again
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalInterrupt(BaseException):
    """Ctrl-C or a termination signal.

    No `Exception`, so that no code that survives errors takes it for one; no KeyboardInterrupt either, which click
    would turn into the exit code of a fault.
    """


def exit_on_signals() -> None:
    """Let Ctrl-C or a termination signal raise `SignalInterrupt` in the main thread.

    Threads that wait for the network are given a moment, in which temporary folders are removed; then the process ends.
    """

    def interrupt(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        timer = threading.Timer(_GRACE_S, end_interrupted)
        timer.daemon = True
        timer.start()
        raise SignalInterrupt

    for number in _SIGNALS:
        signal.signal(number, interrupt)


def end_interrupted() -> NoReturn:
    """End the process with the code of an interruption, whatever its threads do."""
    print_error("interrupted; run again to go on from here")
    sys.stdout.flush()
    os._exit(ExitCode.INTERRUPTED)


def stop_on_signals(console: Console) -> threading.Event:
    """Return an event that Ctrl-C or a termination signal sets; a second signal ends the process at once.

    Args:
        console: prints that the first signal was received.
    """
    stop = threading.Event()

    def request_stop(number: int, frame: object) -> None:  # noqa: ARG001 - the signal module's signature
        if stop.is_set():
            sys.exit(ExitCode.INTERRUPTED)
        stop.set()
        console.print("\nstopping: what is running is ended and removed, what was finished is kept")

    for number in _SIGNALS:
        signal.signal(number, request_stop)

    return stop
