"""Put a web service under load on the loopback interface, by `hey`, which makes so many requests at a time."""

from __future__ import annotations

import csv
import os
import time
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from ..supervise.accounts import take_account
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess, choose_variables

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT_S = 60
"""For all requests of one reading, which are chosen so that they take a few seconds."""
_REQUEST_TIMEOUT_S = 10
_OUTPUT_BYTES = 16 << 20
"""Of a line for each request, of some 70 characters."""
_PUMP_S = 0.05
_ANSWERED = "200"


class LoadError(RuntimeError):
    """The service did not answer as it should. The text says what was seen."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the requests to a service came to.

    Attributes:
        latencies_s: how long each took, in seconds.
        wall_s: from the beginning of the first to the end of the last.
    """

    latencies_s: list[float]
    wall_s: float


def put_under_load(
    url: str, requests: int, connections: int, meanwhile: Callable[[], None]
) -> Load:
    """Make requests to a service, and return how long they took.

    Args:
        url: what is asked for.
        requests: how many, at least one for each connection.
        connections: how many are open at a time, each of which waits for an answer before it asks again.
        meanwhile: called all the time, to take what the service prints: else it would wait for that.

    Raises:
        LoadError: requests failed or were answered with another status than 200, or took too long.
    """
    command = [
        "hey", "-o", "csv", "-n", str(requests), "-c", str(connections), "-t", str(_REQUEST_TIMEOUT_S), url,
    ]  # fmt: skip
    output = Output(_OUTPUT_BYTES, 0)
    errors = Output(1 << 12, 1 << 12)
    with (
        open_folder() as home,
        PackageProcess(
            command,
            account=take_account(),
            environment=choose_variables(os.environ, str(home)),
            folder=str(home),
            output=output,
            errors=errors,
        ) as process,
    ):
        deadline = time.monotonic() + _TIMEOUT_S
        while not process.wait(_PUMP_S) and time.monotonic() < deadline:
            meanwhile()
        has_ended = process.exit_code is not None
        exit_code = process.end()

    if not has_ended:
        raise LoadError(f"{requests} requests were not answered within {_TIMEOUT_S} s")
    if exit_code != 0:
        raise LoadError(f"hey ended with exit code {exit_code}: {errors.read_text()[-300:]}")
    return read_answers(output.read_text(), requests // connections * connections)


def read_answers(text: str, requests: int) -> Load:
    """Read what `hey -o csv` printed: a line for each request that was answered.

    Args:
        text: what it printed.
        requests: how many there were.

    Raises:
        LoadError: not all were answered, or not all as they should be.
    """
    latencies_s: list[float] = []
    ends_s: list[float] = []
    statuses: dict[str, int] = {}
    for row in csv.DictReader(StringIO(text)):
        status = row["status-code"]
        statuses[status] = statuses.get(status, 0) + 1
        latency_s = float(row["response-time"])
        latencies_s.append(latency_s)
        ends_s.append(float(row["offset"]) + latency_s)

    if set(statuses) - {_ANSWERED}:
        counts = ", ".join(f"{count} with {status}" for status, count in sorted(statuses.items()))
        raise LoadError(f"of {requests} requests not all were answered with {_ANSWERED}: {counts}")
    if len(latencies_s) < requests:
        raise LoadError(f"{requests - len(latencies_s)} of {requests} requests were not answered")
    return Load(latencies_s=latencies_s, wall_s=max(ends_s))
