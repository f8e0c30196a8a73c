"""bench_worker.py in a process of its own: ask it to measure a call, and start it anew where a call ended it."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ...supervise.accounts import take_account
from ...supervise.folders import open_folder
from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ..process.interpreter import Interpreter

_BEGIN_S = 20.0  # to start an interpreter and import the distribution
_PATIENCE_S = 3.0  # for an answer, which takes a slice, or a trial of up to 1 s
_MOST_ENDS = 2  # of a process: each costs another import; after one more, it is asked nothing


@dataclass(frozen=True, slots=True)
class Measurement:
    """What bench_worker.py says of calls that it made.

    Attributes:
        wall: how long all of them took, in seconds.
        cpu: CPU time of all threads, in seconds.
        count: how many calls were made.
        gil: whether something turned on a GIL that need not be.
    """

    wall: float
    cpu: float
    count: int
    gil: bool

    @property
    def cpu_per_call(self) -> float:
        """CPU time of one call, in seconds."""
        return self.cpu / self.count

    @property
    def rates(self) -> tuple[float, float]:
        """Calls in a second, and in a second of CPU time."""
        cpu = max(self.cpu, 1e-9)  # the clock of a thread may not have moved
        return round(self.count / self.wall, 1), round(self.count / cpu, 1)


class UnmeasurableError(Exception):
    """A call can no longer be measured.

    Attributes:
        why: see Benchmark.left_out.
    """

    def __init__(self, why: str = "ends") -> None:
        self.why = why
        super().__init__(why)


class BenchWorker:
    """A process of bench_worker.py, and the next one where a call ended it.

    Attributes:
        gil: whether the GIL is on, after the distribution was imported; None where the process did not even begin.
    """

    def __init__(self, interpreter: Interpreter, prepared: dict[str, Any]) -> None:
        """Start a process.

        Args:
            interpreter: what runs it.
            prepared: what bench_worker.py is asked first.
        """
        self.gil: bool | None = None
        self._interpreter = interpreter
        self._prepared = prepared
        self._ends = 0
        self._begin()

    def _begin(self) -> None:
        """Start a process, and note whether the GIL is on in it; None where it does not answer."""
        self._stack = ExitStack()
        home = str(self._stack.enter_context(open_folder()))
        self._process = self._stack.enter_context(
            PackageProcess(
                self._interpreter.program("measure.bench_worker"),
                account=take_account(),
                environment=self._interpreter.program_environment(home),
                folder=home,
                output=Output(0, 0),
                request={**self._prepared, "site": self._interpreter.site},
                has_dialogue=True,
            )
        )
        greeting = self._process.next_answer(_BEGIN_S)
        self.gil = None if greeting is None else bool(greeting.get("gil"))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of bench_worker.py to a request; start another process where this one gives none.

        Args:
            request: `{"check": INDEX, "slowest_s": SECONDS}`, which is answered with `{"why": REASON or None}` (why the
                call with that index cannot be measured), or `{"call": INDEX, "threads": N, "count": N}`, which is
                answered with the fields of a Measurement, or with `error` where the call raised.

        Raises:
            UnmeasurableError: the process ended or did not answer, or there were too many such ends before.
        """
        if self.gil is None or self._ends > _MOST_ENDS:
            raise UnmeasurableError

        self._process.send(request)
        answer = self._process.next_answer(_PATIENCE_S)
        if answer is None:
            self._ends += 1
            self.close()
            self._begin()
            raise UnmeasurableError

        return answer

    def measure(self, call_index: int, threads: int, count: int) -> Measurement:
        """Measure a call.

        Args:
            call_index: its index in the list of calls.
            threads: how many threads make it.
            count: how often it is made, all threads together.

        Raises:
            UnmeasurableError: it raises, or the process ended, or did not answer.
        """
        answer = self.ask({"call": call_index, "threads": threads, "count": count})
        if "error" in answer:
            raise UnmeasurableError("raises")

        return Measurement(**answer)

    def close(self) -> None:
        """End the process."""
        self._stack.close()
