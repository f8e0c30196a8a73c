"""Readings of an application's scenarios with several interpreters, as JSON. Runs offline; no process has privileges.

Usage: python -m inside.measure REQUEST.json OUTPUT.json

The request has `project`, the folder that commands are run in; `variables`, the environment of the application;
`environments`, by name `python`, `index` and `requirements`, as inside.application has them; `variants`, each with
`name`, `environment` (a name of the above), `variables` and `threads`; `scenarios`, each with `name`, `variants` (names
of the above) and one of `call`, `command` and `serve`; `rounds`; `seconds`, how long the calls of one reading take,
about; and `limit_s`, after which no other round of a scenario begins.

Every environment is installed once. Then, in each round of a scenario, every variant is measured once, in an order that
differs from round to round: whatever the machine does besides meets all of them alike.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from ..application.environment import install_lock
from ..supervise.accounts import supervise, take_account
from ..supervise.folders import open_folder, seal_folder
from ..supervise.programs import compile_programs
from .service import measure_service
from .variant import Variant

_TIMEOUT_S = 120.0
"""Longest time of one reading of a call or a command, which takes a few seconds."""
_MOST_LATENCIES = 2_000_000
"""Latencies that are answered at most, of some ten characters each: a larger answer is refused."""
_MOST_FAILURES = 2
"""Readings of a variant that may fail before it is left out: one may be an accident."""


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Install the environments, measure every scenario, and return the readings (builder/evidence/measurement.py).

    Args:
        request: see above.
    """
    with open_folder(is_writable=False) as folder:
        errors: dict[str, str] = {}
        for name, asked in request["environments"].items():
            error = _install(asked, folder / name)
            if error is not None:
                errors[name] = error

        variants: list[Variant] = []
        for asked in request["variants"]:
            if asked["environment"] not in errors:
                variants.append(_make_variant(asked, request, folder))

        scenarios: list[dict[str, Any]] = []
        for asked in request["scenarios"]:
            chosen = [variant for variant in variants if variant.name in asked["variants"]]
            most_latencies = _MOST_LATENCIES // len(request["scenarios"])
            scenarios.append(measure_scenario(asked, chosen, request, most_latencies))

    return {"errors": errors, "scenarios": scenarios}


def _install(asked: dict[str, Any], environment: Path) -> str | None:
    """Install one environment, which nothing that runs from now on can write to; return what went wrong, or None."""
    error = install_lock(
        asked["python"], asked["index"], asked["requirements"], environment, take_account()
    )
    if error is None:
        seal_folder(environment)

    return error


def _make_variant(asked: dict[str, Any], request: dict[str, Any], folder: Path) -> Variant:
    return Variant(
        name=asked["name"],
        environment=folder / asked["environment"],
        project=request["project"],
        variables={**request["variables"], **asked["variables"]},
        threads=asked["threads"],
    )


def measure_scenario(
    scenario: dict[str, Any],
    variants: list[Variant],
    request: dict[str, Any],
    most_latencies: int = _MOST_LATENCIES,
) -> dict[str, Any]:
    """Measure one scenario with every variant, round after round.

    The first reading of the first variant says how many calls all others make: what is compared has done the same work.

    Args:
        scenario: one of the request.
        variants: those that could be installed.
        request: has `rounds`, `seconds` and `limit_s`.
        most_latencies: how many are answered; none where there would be more.

    Returns:
        `name`, `rounds` (each with a reading by variant) and `failures` (by variant, why it was left out).
    """
    failures: dict[str, list[str]] = {variant.name: [] for variant in variants}
    rounds: list[dict[str, Any]] = []
    count: int | None = None
    deadline = time.monotonic() + request["limit_s"]
    for number in range(request["rounds"]):
        active = [variant for variant in variants if len(failures[variant.name]) < _MOST_FAILURES]
        if time.monotonic() > deadline or not active:
            break

        # The first one sets the number of calls, so it stays the first in that round.
        if number:
            random.Random(number).shuffle(active)
        readings: dict[str, Any] = {}
        for variant in active:
            reading = measure_once(scenario, variant, count, request["seconds"])
            latencies_s = reading.pop("latencies_s", [])
            print(number, variant.name, json.dumps(reading), flush=True)
            if "error" in reading:
                failures[variant.name].append(reading["error"])
                continue
            if len(latencies_s) * len(variants) * request["rounds"] <= most_latencies:
                reading["latencies_s"] = latencies_s
            readings[variant.name] = reading
            count = count or reading["count"]
        rounds.append(readings)

    return {
        "name": scenario["name"],
        "rounds": rounds,
        "failures": {name: errors[-1] for name, errors in failures.items() if errors},
    }


def measure_once(
    scenario: dict[str, Any], variant: Variant, count: int | None, seconds: float
) -> dict[str, Any]:
    """Measure a scenario once; return the reading, or `error`.

    Args:
        scenario: one of the request.
        variant: what it is run in.
        count: how many calls or requests are timed; None for so many as take `seconds`.
        seconds: see `count`.
    """
    if "serve" in scenario:
        return measure_service(scenario, variant, count, seconds)

    if "call" in scenario:
        asked = {
            "call": scenario["call"],
            "threads": variant.threads,
            "count": count,
            "seconds": seconds,
        }
        return variant.run_program("caller", asked, _TIMEOUT_S)

    command = scenario["command"].replace("{threads}", str(variant.threads))
    return variant.run_program("meter", {"command": command}, _TIMEOUT_S)


def main() -> None:
    """Answer the request as the supervisor of all that is of the application."""
    supervise()
    compile_programs()
    request, output = sys.argv[1:]
    facts = measure(json.loads(Path(request).read_text()))
    Path(output).write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
