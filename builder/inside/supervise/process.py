"""A process that runs code of a package: started as its own user, read through pipes, ended with all it began."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import IO, Any, Self

from .accounts import Account, name_user
from .gil import GilWatch
from .output import Output
from .pipes import Pipes
from .records import MOST_BYTES, Record, RecordReader, Records, make_token

_READ_BYTES = 1 << 16  # at a time: what a pipe holds
_POLL_S = 0.05  # how often it is looked whether a process has ended that left its pipes open
_END_S = 20.0  # for the kernel to end a process that was killed

Environment = dict[str, str]


class PackageProcess:
    """A process that runs code of a package, and may do with it what it likes.

    Attributes:
        pid: the process's id.
        output: what it prints.
        errors: what it prints as errors; the same as `output` where both are one.
        reader: takes its records; another one may be put in its place.
        answers: takes what it answers in a dialogue; None where it has none.
        gil: looks at the state of its GIL each time that it asks to be looked at.
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
        passed_on: Iterable[int] = (),
        listeners: Mapping[int, Callable[[bytes], None]] = MappingProxyType({}),
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
            passed_on: further descriptors that it gets.
            listeners: what takes that which comes through further pipes, by our ends; they are closed with the others.
        """
        self.output = output
        self.errors = errors or output
        token = make_token()
        self.reader = RecordReader(token, most_bytes)
        self.answers = RecordReader(token) if has_dialogue else None
        self._account = account
        self._unsent = b""

        names = ["output", "records"]
        if errors is not None:
            names.append("errors")
        if has_dialogue:
            names.append("answers")
        pipes = Pipes(names)
        try:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL if request is None else subprocess.PIPE,
                stdout=pipes.theirs["output"],
                stderr=pipes.theirs["output" if errors is None else "errors"],
                start_new_session=True,
                pass_fds=[*pipes.passed_on(), *passed_on],
                preexec_fn=prepare,  # noqa: PLW1509 - it sets a limit, and takes no lock
                **account.popen_options(),
            )
        except BaseException:
            pipes.close_ours()
            raise
        finally:
            pipes.close_theirs()

        self.pid = self._process.pid
        self.gil = GilWatch(account, self.pid, pipes.looked)
        self._selector = selectors.DefaultSelector()
        self._register(pipes, listeners)
        if request is not None:
            self.send(pipes.make_request(token, request), is_last=not has_dialogue)

    def _register(self, pipes: Pipes, listeners: Mapping[int, Callable[[bytes], None]]) -> None:
        """Have what comes through pipes taken by whoever takes it at that time."""
        takers = {
            "output": self._feed_output,
            "errors": self._feed_errors,
            "records": self._feed_records,
            "answers": self._feed_answers,
        }
        for name, descriptor in pipes.ours.items():
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, takers[name])
        for descriptor, take in listeners.items():
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, take)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._selector.close()

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
        is_watched = self.gil.pid is not None
        if records.looks and is_watched and not records.forgery:
            records.looks -= 1
            self._take_gil_address()
            self.gil.look()

    def _take_gil_address(self) -> None:
        """Take from the first record where the process has the state of its GIL, if that is what it says."""
        items = self.reader.records.items
        if self.gil.address is None and items and isinstance(items[0].get("gil_at"), int):
            self.gil.address = items.pop(0)["gil_at"]

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
                # Its pipes are closed: it ends in a moment, for which `subprocess` waits in steps that begin tiny.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(remaining_s)

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
        self.gil.close()
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
