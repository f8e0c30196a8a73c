"""cibuildwheel, as the farm runs it: what a build leaves comes out by the farm's own door.

Usage: python -m builder.jobs.build.launcher REQUEST ARGUMENTS-OF-CIBUILDWHEEL

cibuildwheel copies a build's output folder with `docker cp`, which makes on this machine whatever is in there: links,
devices, files of any size. This process puts builder/jobs/build/output.py in that place, and changes nothing else.
REQUEST is a file that says what was asked for, and where to write why something was refused.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cibuildwheel import __main__ as cibuildwheel
from cibuildwheel.errors import FatalError
from cibuildwheel.oci_container import OCIContainer

from builder.jobs.build.output import RefusedOutputError, take_wheels
from builder.jobs.build.refusal import read_request, write_refusal

if TYPE_CHECKING:
    from pathlib import PurePath

    from builder.jobs.build.output import Expectation

_REST_BYTES = 1 << 20  # more than any archive is padded with
_REQUEST_TIMEOUT_S = 60  # of asking the engine about a container; not measured


def take_output(
    container: OCIContainer, folder: PurePath, target: Path, expected: Expectation
) -> None:
    """Take the wheels out of a container, in place of `OCIContainer.copy_out`.

    Args:
        container: where they are.
        folder: their folder in it.
        target: their folder on this machine.
        expected: what was asked for.

    Raises:
        RefusedOutputError: something else is in the folder, or the folder is gone.
        OSError: the wheels cannot be written.
        subprocess.CalledProcessError: the engine does not answer.
    """
    target.mkdir(parents=True, exist_ok=True)
    name = str(container.name)
    command = [container.engine.name, "cp", f"{name}:{folder}", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            take_wheels(process.stdout, target, expected)
            process.stdout.read(
                _REST_BYTES
            )  # padding: who closes a pipe too early kills the writer
        except RefusedOutputError:
            process.kill()  # the rest may be terabytes
            _check_engine(container.engine.name, name)
            raise

    if process.returncode:
        _check_engine(container.engine.name, name)
        raise RefusedOutputError("what it left could not be read to its end")


def _check_engine(engine: str, name: str) -> None:
    """Check that it was not the engine that failed: it still knows the container.

    Raises:
        subprocess.CalledProcessError: it does not.
    """
    subprocess.run(
        [engine, "container", "inspect", name],
        stdout=subprocess.DEVNULL,
        timeout=_REQUEST_TIMEOUT_S,
        check=True,
    )


def main() -> None:
    """Run cibuildwheel with the farm's door in the place of its own."""
    request = read_request(Path(sys.argv.pop(1)))

    def copy_out(self: OCIContainer, from_path: PurePath, to_path: Path) -> None:
        """Take the wheels, or note why they are refused and end like a failed build."""
        try:
            take_output(self, from_path, to_path, request.expected)
        except RefusedOutputError as error:
            write_refusal(request.answer, error.refusal)
            raise FatalError(f"the build's output was refused: {error}") from None

    OCIContainer.copy_out = copy_out  # type: ignore[method-assign]
    cibuildwheel.main()


if __name__ == "__main__":
    main()
