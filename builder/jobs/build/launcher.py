"""cibuildwheel, as the farm runs it: what a build leaves comes out by the farm's own door.

Usage: python -m builder.jobs.build.launcher REQUEST ARGUMENTS-OF-CIBUILDWHEEL

cibuildwheel copies a build's output folder with `docker cp`, which makes on this machine whatever is in there: links,
devices, files of any size. This process puts builder/jobs/build/output.py in that place. And cibuildwheel holds each
line that a build prints, and each answer of a container, in memory until it ends: here both have a limit.
REQUEST is a file that says what was asked for, and where to write why something was refused.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from cibuildwheel import __main__ as cibuildwheel
from cibuildwheel.errors import FatalError
from cibuildwheel.oci_container import OCIContainer

from builder.jobs.build.output import RefusedOutputError, take_wheels
from builder.jobs.build.refusal import read_request, write_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from cibuildwheel.typing import PathOrStr

    from builder.jobs.build.output import Expectation
    from builder.jobs.build.refusal import Request

_REST_BYTES = 1 << 20  # more than any archive is padded with
_LINE_BYTES = 64 << 10  # of a line that is held: more of it is passed on in pieces
_HELD_BYTES = 64
"""More than cibuildwheel's mark of a command's end: four digits, a UUID and a line break."""
_ANSWER_BYTES = 1 << 20
"""Of what a container answers: its variables, names of wheels, 2 kB; as JSON it takes fifty times as much."""
_BUILT_WHEELS = PurePosixPath("/tmp/cibuildwheel/built_wheel")  # noqa: S108 - cibuildwheel's, in the container
_OUTPUT = PurePosixPath("/output")  # cibuildwheel's as well
_PURE_SUFFIX = "none-any.whl"  # by which cibuildwheel knows them
_REQUEST_TIMEOUT_S = 60  # of asking the engine about a container; not measured


class BoundedPipe:
    """What a container prints, for `OCIContainer.call`: in place of a pipe that lines of any length are read from."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Take over a pipe."""
        self._pipe = pipe
        self._held = b""
        self._left: int | None = None

    def limit(self, size: int | None) -> None:
        """Say how many bytes may come from now on, before the next limit is set; None for any number."""
        self._left = size

    def readline(self) -> bytes:
        """Return a line or, of a line that is too long, the next piece.

        cibuildwheel looks for its mark of a command's end at the end of what it gets, so no piece ends within one.

        Raises:
            FatalError: there is more than the limit.
        """
        line = self._held + self._pipe.readline(_LINE_BYTES)
        self._held = b""
        if len(line) >= _LINE_BYTES and not line.endswith(b"\n"):
            line, self._held = line[:-_HELD_BYTES], line[-_HELD_BYTES:]

        if self._left is not None:
            self._left -= len(line)
            if self._left < 0:
                raise FatalError("the container answered with far more than it was asked for")
        return line

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()


def bound_containers() -> None:
    """Give all that cibuildwheel reads from its containers a limit."""
    enter, call = OCIContainer.__enter__, OCIContainer.call

    def enter_bounded(self: OCIContainer) -> OCIContainer:
        """Start the container; nothing of the package has run in it by then."""
        enter(self)
        self.bash_stdout = cast("IO[bytes]", BoundedPipe(self.bash_stdout))
        return self

    def call_bounded(
        self: OCIContainer,
        args: Sequence[PathOrStr],
        env: Mapping[str, str] | None = None,
        capture_output: bool = False,  # noqa: FBT001, FBT002 - as cibuildwheel has it
        cwd: PathOrStr | None = None,
    ) -> str:
        """Call; what is kept in memory may not be large. What goes into the log has the log's limit."""
        pipe: object = self.bash_stdout
        if isinstance(pipe, BoundedPipe):
            pipe.limit(_ANSWER_BYTES if capture_output else None)
        return call(self, args, env, capture_output, cwd)

    OCIContainer.__enter__ = enter_bounded  # type: ignore[assignment,method-assign]
    OCIContainer.call = call_bounded  # type: ignore[method-assign]


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


def take_pure_wheels(request: Request) -> None:
    """Take a wheel for every Python as it is built, and end there.

    cibuildwheel ends with an error where it meets one: it repairs and tests wheels with native code. For a package that
    has none, one build is all there is to do.

    Args:
        request: what was asked for.
    """
    glob = OCIContainer.glob

    def glob_and_take(self: OCIContainer, path: PurePosixPath, pattern: str) -> list[PurePosixPath]:
        """List; a pure wheel where built wheels are looked for is taken out."""
        found = glob(self, path, pattern)
        is_pure = bool(found) and found[0].name.endswith(_PURE_SUFFIX)
        if path == _BUILT_WHEELS and is_pure:
            # Beside it, the frontend may have left files of its own (uv: `.gitignore`).
            self.call(["mkdir", "-p", _OUTPUT])
            self.call(["mv", found[0], _OUTPUT])
            self.copy_out(_OUTPUT, request.output)
            print(f"{found[0].name}: it has no native code and is for every Python", flush=True)
            raise SystemExit(0)
        return found

    OCIContainer.glob = glob_and_take  # type: ignore[method-assign]


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
    bound_containers()
    if request.expected.takes_pure:
        take_pure_wheels(request)
    cibuildwheel.main()


if __name__ == "__main__":
    main()
