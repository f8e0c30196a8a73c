"""A process that runs code of a package: started as its own user, read through pipes, ended with all it began."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import IO, Any, Self

from .accounts import Account, name_user
from .records import MOST_BYTES, Record, RecordReader, Records, make_token

_READ_BYTES = 1 << 16  # at a time: what a pipe holds
_POLL_S = 0.05  # how often it is looked whether a process has ended that left its pipes open
_CUT = b"\n[%d bytes are left out here]\n"
_STATE_BYTES = 4  # of the number that says whether the GIL is on: a C int
_END_S = 20.0  # for the kernel to end a process that was killed

Environment = dict[str, str]


@dataclass(slots=True)
class Output:
    """What a process printed: its beginning and its end, however much it prints.

    Attributes:
        head_bytes: how much of the beginning is kept.
        tail_bytes: how much of the end is kept.
        size: how much was printed, in bytes.
    """

    head_bytes: int
    tail_bytes: int
    size: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)

    def feed(self, printed: bytes) -> None:
        """Take what was printed next."""
        self.size += len(printed)
        missing = self.head_bytes - len(self._head)
        self._head += printed[:missing]
        self._tail += printed[missing:]
        # Cut seldom: each cut copies the tail.
        if len(self._tail) > 2 * self.tail_bytes + _READ_BYTES:
            del self._tail[: len(self._tail) - self.tail_bytes]

    def read(self) -> bytes:
        """Return what is kept; a line in between says how much is left out."""
        tail = bytes(self._tail[-self.tail_bytes :]) if self.tail_bytes else b""
        omitted = self.size - len(self._head) - len(tail)
        cut = _CUT % omitted if omitted else b""

        return bytes(self._head) + cut + tail

    def read_text(self) -> str:
        """Return what is kept as text."""
        return self.read().decode(errors="replace")


class GilState(StrEnum):
    """What the supervisor saw of a process's GIL by looking at its memory."""

    OFF = "off"
    ON = "on"
    HIDDEN = "hidden"
    """It could be seen before a package was imported, and cannot be any more."""


class PackageProcess:
    """A process that runs code of a package, and may do with it what it likes.

    Attributes:
        pid: the process's id.
        output: what it prints.
        errors: what it prints as errors; the same as `output` where both are one.
        reader: takes its records; another one may be put in its place.
        answers: takes what it answers in a dialogue; None where it has none.
        gil_address: where it has the state of its GIL, as it said before it imported anything; None to look nowhere.
        watched_pid: the process that is looked at: this one, or one that it forked; None while it is not known, and
            whoever asks to be looked at waits.
        gil_states: what was seen each time that it asked to be looked at; None where nothing can be seen here.
    """

    def __init__(  # noqa: PLR0913 - what a process is started with
        self,
        command: list[str],
        *,
        account: Account,
        environment: Environment,
        folder: str,
        output: Output,
        errors: Output | None = None,
        request: dict[str, Any] | None = None,
        has_dialogue: bool = False,
        prepare: Callable[[], None] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Start the process, in a group of its own.

        Args:
            command: the command.
            account: who runs it.
            environment: its whole environment.
            folder: its working directory.
            output: takes what it prints.
            errors: takes what it prints as errors; None for `output`.
            request: what it is asked, as `witness.read_request` returns it; None where it asks nothing.
            has_dialogue: whether it is asked more, line by line, and answers through a pipe of its own.
            prepare: called in the new process before the command; None for nothing.
            most_bytes: how much all its records may have.
        """
        self.output, self.errors = output, errors or output
        token = make_token()
        self.reader = RecordReader(token, most_bytes)
        self.answers = RecordReader(token) if has_dialogue else None
        self._account = account
        self.gil_address: int | None = None
        self.gil_states: list[GilState | None] = []
        self._selector = selectors.DefaultSelector()
        self._unsent = b""

        # Made by root, these pipes can be opened by nobody else, not even through /proc.
        pipes = {"output": os.pipe(), "records": os.pipe()}
        if errors is not None:
            pipes["errors"] = os.pipe()
        if has_dialogue:
            pipes["answers"] = os.pipe()
        looked_end, self._looked = os.pipe()
        kept = [pipes[name][1] for name in ("records", "answers") if name in pipes]
        kept.append(looked_end)
        try:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL if request is None else subprocess.PIPE,
                stdout=pipes["output"][1],
                stderr=pipes["errors" if errors is not None else "output"][1],
                start_new_session=True,
                pass_fds=kept,
                preexec_fn=prepare,  # noqa: PLW1509 - it sets a limit, and takes no lock
                **account.popen_options(),
            )
        except BaseException:
            for reading_end, _ in pipes.values():
                os.close(reading_end)
            raise
        finally:
            os.close(looked_end)
            for _, writing_end in pipes.values():
                os.close(writing_end)

        self.pid = self._process.pid
        self.watched_pid: int | None = self.pid
        takers = {"output": self._feed_output, "errors": self._feed_errors}
        takers |= {"records": self._feed_records, "answers": self._feed_answers}
        for name, (reading_end, _) in pipes.items():
            os.set_blocking(reading_end, False)
            self._selector.register(reading_end, selectors.EVENT_READ, takers[name])

        if request is not None:
            asked = {"token": token, "descriptor": pipes["records"][1], "request": request}
            asked["looked"] = looked_end
            if has_dialogue:
                asked["answers"] = pipes["answers"][1]
            self.send(asked, is_last=not has_dialogue)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def records(self) -> Records:
        """What it said so far."""
        return self.reader.records

    @property
    def exit_code(self) -> int | None:
        """How it ended: its exit code, or -n where signal n killed it; None while it goes on."""
        return self._process.poll()

    def send(self, line: dict[str, Any], *, is_last: bool = False) -> None:
        """Send a line of JSON to its standard input, as soon as it reads that.

        Args:
            line: what to send.
            is_last: whether the input is at its end then.
        """
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return

        self._unsent += json.dumps(line).encode() + b"\n"
        os.set_blocking(pipe.fileno(), False)
        # The selector forgets what is closed, and takes what is there already as it is.
        with contextlib.suppress(KeyError):
            self._selector.register(pipe, selectors.EVENT_WRITE, is_last)

    def pump(self, seconds: float) -> None:
        """Wait until something comes through a pipe, or the time is up, and take what came."""
        for key, events in self._selector.select(seconds):
            if events & selectors.EVENT_WRITE:
                self._write_input(key.fileobj, is_last=key.data)  # type: ignore[arg-type] # it is stdin
            else:
                self._read_pipe(key.fd, key.data)

        records = self.reader.records
        is_watched = self.watched_pid is not None
        if records.looks and is_watched and not records.forgery:
            records.looks -= 1
            self._look()

    def _look(self) -> None:
        """Look at the state of the GIL, and let the process go on.

        All processes of the user are stopped meanwhile: none can do anything about it.
        """
        stopped_pids = self._account.stop_processes()
        state: GilState | None = None
        # What it says of itself in its first record is taken from there.
        items = self.reader.records.items
        if self.gil_address is None and items and isinstance(items[0].get("gil_at"), int):
            self.gil_address = items.pop(0)["gil_at"]
        if self.gil_address is not None and self.watched_pid is not None:
            state = read_gil(self._account, self.watched_pid, self.gil_address)
            could_be_seen = bool(self.gil_states) and self.gil_states[0] is not None
            if state is None and could_be_seen:
                state = GilState.HIDDEN
        self.gil_states.append(state)

        self._account.resume_processes(stopped_pids)
        self.release()

    def release(self) -> None:
        """Let the process go on, which waits until it was looked at."""
        with contextlib.suppress(OSError):  # it has ended
            os.write(self._looked, b"\n")

    def wait(self, seconds: float) -> bool:
        """Take what comes until the process has ended; return False where it has not after so many seconds.

        One that somebody else spoke for is not waited for any more: whatever comes is not believed.
        """
        deadline = time.monotonic() + seconds
        while self.exit_code is None and not self.records.forgery:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                return False
            if self._selector.get_map():
                self.pump(min(_POLL_S, remaining_s))
            else:
                time.sleep(min(_POLL_S, remaining_s))

        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self._process.send_signal(number)

    def next_answer(self, seconds: float) -> Record | None:
        """Return the next answer in a dialogue; None where none comes in time, or the process has ended."""
        assert self.answers is not None
        deadline = time.monotonic() + seconds
        while True:
            answers = self.answers.records
            if answers.items:
                return answers.items.pop(0)

            remaining_s = deadline - time.monotonic()
            if answers.forgery or self.exit_code is not None or remaining_s <= 0:
                break
            self.pump(min(_POLL_S, remaining_s))

        # It may have answered and ended at once.
        self.drain()
        return answers.items.pop(0) if answers.items and not answers.forgery else None

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and those that stayed in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def end(self) -> int:
        """Kill the process and all that it started; take what they had written, and return its exit code.

        It can be called again: then it does nothing.
        """
        self.signal_group(signal.SIGKILL)
        self._account.end_processes()
        exit_code = self._process.wait(_END_S)

        # Nobody writes any more: what is in the pipes is all there is.
        self.drain()
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            if key.events & selectors.EVENT_READ:
                os.close(key.fd)
        if self._looked >= 0:
            os.close(self._looked)
            self._looked = -1
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # a line that nobody took
                self._process.stdin.close()

        return exit_code

    def drain(self) -> None:
        """Take what is in the pipes now."""
        deadline = time.monotonic() + _END_S  # somebody may write without end
        has_more = True
        while has_more and time.monotonic() < deadline:
            has_more = False
            for key in list(self._selector.get_map().values()):
                if key.events & selectors.EVENT_READ:
                    has_more |= self._read_pipe(key.fd, key.data)

    def _read_pipe(self, descriptor: int, take: Callable[[bytes], None]) -> bool:
        """Take what is in a pipe, and close it at its end; return whether there may be more."""
        try:
            received = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        if not received:
            self._selector.unregister(descriptor)
            os.close(descriptor)
            return False

        take(received)
        return True

    def _write_input(self, pipe: IO[bytes], *, is_last: bool) -> None:
        """Write what the pipe takes of what is to be sent."""
        try:
            written = os.write(pipe.fileno(), self._unsent)
        except BlockingIOError:
            return
        except OSError:  # it reads no more
            written = len(self._unsent)
        self._unsent = self._unsent[written:]

        if not self._unsent:
            self._selector.unregister(pipe)
            if is_last:
                pipe.close()

    def _feed_output(self, received: bytes) -> None:
        self.output.feed(received)

    def _feed_errors(self, received: bytes) -> None:
        self.errors.feed(received)

    def _feed_records(self, received: bytes) -> None:
        self.reader.feed(received)

    def _feed_answers(self, received: bytes) -> None:
        if self.answers is not None:
            self.answers.feed(received)


def read_gil(account: Account, pid: int, address: int) -> GilState | None:
    """Return the state of a process's GIL by reading its memory; None where that is not possible.

    Only the same user may do that, by a program that is started for it.

    Args:
        account: who runs the process.
        pid: the process.
        address: where it has the number that is 0 while the GIL is off.
    """
    command = [
        "dd",
        f"if=/proc/{pid}/mem",
        "bs=4",
        f"skip={address // 4}",
        "count=1",
        "status=none",
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=_END_S,
            stdin=subprocess.DEVNULL,
            **account.popen_options(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if len(done.stdout) != _STATE_BYTES:
        return None

    return GilState.ON if any(done.stdout) else GilState.OFF


def run_to_end(
    command: list[str], *, account: Account, seconds: float, folder: str, environment: Environment
) -> tuple[int | None, str]:
    """Run a command that gives no records; return its exit code (None where its time was up) and what it printed.

    Args:
        command: the command.
        account: who runs it; nothing of this user runs afterwards.
        seconds: most time for it.
        folder: its working directory.
        environment: its whole environment.
    """
    output = Output(1 << 20, 1 << 20)
    with PackageProcess(
        command, account=account, environment=environment, folder=folder, output=output
    ) as process:
        has_ended = process.wait(seconds)
        exit_code = process.end()

    return exit_code if has_ended else None, output.read_text()


def choose_variables(names: Iterable[str], folder: str) -> Environment:
    """Return the environment of code of a package: some variables of this process, and who it is.

    Args:
        names: of variables that are passed on.
        folder: its home.
    """
    chosen = {name: os.environ[name] for name in names if name in os.environ}
    return {**chosen, **name_user(folder)}
