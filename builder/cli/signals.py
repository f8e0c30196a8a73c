"""Ctrl-C and a termination signal, turned into an event that work looks at."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

from builder.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console


def stop_on_signals(console: Console) -> threading.Event:
    """Return an event that Ctrl-C or a termination signal sets; a second one ends the process at once.

    Args:
        console: is told that the first one was heard.
    """
    stop = threading.Event()

    def handle(number: int, frame: object) -> None:  # noqa: ARG001 - the signature is the signal module's
        if stop.is_set():
            sys.exit(ExitCode.INTERRUPTED)
        stop.set()
        console.print("\nstopping: what is running is ended and removed, what was finished is kept")

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop
