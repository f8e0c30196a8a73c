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
    """A program that answers requests, started as a process with a process group of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        """Start the program.

        Args:
            command: the command.
            environment: its whole environment.
            folder: its working directory.
        """
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
        """Send a request; return False where the program has ended and cannot take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False

        return True

    def read_answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the program's next answer; None where none comes in time, or the program has ended."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds

        while b"\n" not in self._unread:
            remaining_s = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([descriptor], [], [], remaining_s)
            received = os.read(descriptor, _READ_BYTES) if ready else b""
            if not received:  # the time is up, or the pipe is at its end
                return None
            self._unread += received

        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the program and all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

        for pipe in (self._process.stdin, self._process.stdout):
            # A request that nobody took is still in the pipe's buffer, and cannot be written any more.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
