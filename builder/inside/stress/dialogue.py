"""A program that is asked in lines of JSON and answers in lines of JSON."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from typing import Any

_READ_BYTES = 4096  # at a time; answers are short


class Dialogue:
    """One such program, in a process group of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        self._process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._unread = b""

    def ask(self, request: dict[str, Any]) -> bool:
        """Send a request; return whether there is anybody to take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False

        return True

    def read_answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next line; None where none comes in that time, or none at all any more."""
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds

        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([handle], [], [], left)
            data = os.read(handle, _READ_BYTES) if ready else b""
            if not data:
                return None
            self._unread += data

        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the program, and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

        for pipe in (self._process.stdin, self._process.stdout):
            # A request that nobody took is still in the pipe's buffer, and cannot be written any more.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
