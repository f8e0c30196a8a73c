"""A web service of an application: started, asked until it answers, put under load, and ended."""

from __future__ import annotations

import http.client
import socket
import time
from typing import TYPE_CHECKING, Any

from ..supervise.accounts import take_account
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess
from .load import LoadError, put_under_load
from .readings import make_reading, read_usage

if TYPE_CHECKING:
    from .variant import Variant

_HOST = "127.0.0.1"
_START_S = 60.0
"""Until it answers for the first time."""
_POLL_S = 0.005
_ANSWER_S = 5.0
_OUTPUT_BYTES = 1 << 16
_WARM_REQUESTS = 200
"""Before anything is timed: as many as a pool of workers needs to have each of them asked."""
_FEWEST = 100
_MOST = 50_000
_OK = 200


def measure_service(
    scenario: dict[str, Any], variant: Variant, count: int | None, seconds: float
) -> dict[str, Any]:
    """Start a service, put it under load, and return the reading, or `error`.

    Args:
        scenario: has `serve`, the command with `{port}` and perhaps `{threads}`; `path`, what is asked for; and
            `connections`.
        variant: what it runs in.
        count: how many requests are timed; None for so many as take `seconds`.
        seconds: see `count`.
    """
    port = find_free_port()
    command = scenario["serve"].replace("{port}", str(port))
    command = command.replace("{threads}", str(variant.threads))
    output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
    with (
        open_folder() as home,
        PackageProcess(
            ["/bin/sh", "-c", command],
            account=take_account(),
            environment=variant.describe_variables(home),
            folder=variant.project,
            output=output,
        ) as process,
    ):
        try:
            reading = _measure_started(process, scenario, port, count, seconds)
        except LoadError as error:
            process.end()
            return {"error": f"{error}; it printed: {output.read_text()[-500:]}"}

    return reading


def _measure_started(
    process: PackageProcess, scenario: dict[str, Any], port: int, count: int | None, seconds: float
) -> dict[str, Any]:
    """Put a service that was just started under load, and return the reading.

    Raises:
        LoadError: it does not answer as it should.
    """
    connections = scenario["connections"]
    url = f"http://{_HOST}:{port}{scenario['path']}"
    start_s = await_answer(process, port, scenario["path"])

    warm_requests = max(_WARM_REQUESTS, connections)
    warm = put_under_load(url, warm_requests, connections, process.drain)
    if count is None:
        per_request_s = warm.wall_s / len(warm.latencies_s)
        count = max(_FEWEST, connections, min(_MOST, int(seconds / per_request_s)))

    before = read_usage(process.pid)
    load = put_under_load(url, count, connections, process.drain)
    after = read_usage(process.pid)

    return make_reading(
        load.latencies_s,
        load.wall_s,
        after.cpu_s - before.cpu_s,
        start=start_s,
        rss=after.rss_bytes,
        rss_peak=after.peak_rss_bytes,
    )


def await_answer(process: PackageProcess, port: int, path: str) -> float:
    """Ask a service until it answers for the first time; return how long that took, in seconds.

    Raises:
        LoadError: it ended before, or it took too long, or its first answer has another status than 200.
    """
    began = time.perf_counter()
    while True:
        status = _ask(port, path)
        elapsed_s = time.perf_counter() - began
        if status == _OK:
            return elapsed_s
        if status is not None:
            raise LoadError(f"it answered {path} with status {status}")
        if process.exit_code is not None:
            raise LoadError(f"it ended with exit code {process.exit_code} before it answered")
        if elapsed_s > _START_S:
            raise LoadError(f"it did not answer on port {port} within {_START_S:.0f} s")
        process.pump(_POLL_S)


def _ask(port: int, path: str) -> int | None:
    """Return the status that a service answers with; None where nobody answers yet."""
    connection = http.client.HTTPConnection(_HOST, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def find_free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        port: int = listener.getsockname()[1]
        return port
