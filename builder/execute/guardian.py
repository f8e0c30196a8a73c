"""A small process that outlives a killed farm just long enough to remove its containers.

Usage: python -m builder.execute.guardian ENGINE-ADDRESS RUN-ID

Its standard input is a pipe from the farm. A farm that ends in order says `done`; one that is killed closes the pipe
without a word.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from builder.untrusted.interpreter import SAFE_PATH, module_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.engine.client import Engine

_DONE = b"done\n"

# A container that the engine was creating when the farm was killed appears a moment later. So the guardian looks for
# containers several times.
_ATTEMPTS = 5
_PAUSE_S = 2.0


@contextlib.contextmanager
def guard_containers(address: str, run_id: str) -> Iterator[None]:
    """Start a guardian that removes this run's containers if this process is killed inside the block.

    If the block ends in order, by an exception or not, the guardian is told so and removes nothing.

    Args:
        address: the engine's address, in the form of `DOCKER_HOST`.
        run_id: the id that this run's containers are labelled with.
    """
    process = subprocess.Popen(
        module_command("builder.execute.guardian", address, run_id),
        cwd="/",
        env={**os.environ, **SAFE_PATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None, "it is a pipe"

    try:
        yield
    finally:
        # The pipe is broken if somebody has ended the guardian by hand. That must not make the run fail.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(_DONE)
            process.stdin.close()
        process.wait()


@contextlib.contextmanager
def clean_up_containers(engine: Engine) -> Iterator[None]:
    """Remove the farm's containers at the end of the block.

    If the process is killed inside the block, a guardian removes those of this run.
    """
    with guard_containers(engine.address, engine.run_id):
        try:
            yield
        finally:
            engine.reap()


def main() -> None:
    """Wait for the farm to end and, if it was killed, remove the containers of its run."""
    address, run_id = sys.argv[1:]
    if sys.stdin.buffer.read() == _DONE:
        return

    # Only a killed farm needs the client, and it takes longer to import than everything else here.
    from builder.engine import connection

    os.environ["DOCKER_HOST"] = address
    for _ in range(_ATTEMPTS):
        connection.connect().reap_run(run_id)
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main()
