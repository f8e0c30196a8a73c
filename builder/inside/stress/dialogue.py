"""A program that is asked in lines of JSON and answers in lines of JSON."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from typing import Any


class Dialogue:
    """One such program, in a process group of its own."""

    def __init__(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        self._process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._read = b""

    def ask(self, request: dict[str, Any]) -> bool:
        """Send a request; return whether there is anybody to take it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def answer(self, seconds: float) -> dict[str, Any] | None:
        """Return the next line; None where none comes in that time, or none at all any more."""
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while b"\n" not in self._read:
            ready, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(handle, 4096) if ready else b""
            if not data:
                return None
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()
