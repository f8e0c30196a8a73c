"""Put a distribution under threads with the plain interpreter, and see what harm is done.

Usage: python -m inside.stress.exercise REQUEST.json OUTPUT.json

The request has `python`, `name`, `requirement`, `wheels` (a folder), `surface` and `plan` (what race.py made of them), `suspects`
(scenarios that race), `tests` (see owntests.py; or null) and `effort` (`plain_s`, `proofs`, `times`).

Facts: `install`, `played`, `late`, `gil`, `errors`, `harms` (crashes, hangs, wrong results; each with `steered`: whether a race pointed
there; those that were shown again have `script`, `shown`, `ran`, `arms`, `malloc`), `own_tests` (what owntests.py answers).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from . import installing, owntests, runner, scenarios
from .reproducer import Prover
from .runner import Interpreter, Player, PlayResult, Run

_PATIENCE_S = 10.0
_ROUNDS = 60
_PLAYED_ROUNDS = 4
_MORE = 4
_HARM = frozenset({"crash", "hang", "wrong"})
_MOST_LISTED = 20
_AMPLIFIED = 4


def main() -> None:
    """Answer for one distribution."""
    request = json.loads(Path(sys.argv[1]).read_text())
    site = "/tmp/site"
    facts: dict[str, Any] = {
        "install": installing.install(
            request["python"], [request["requirement"]], request["wheels"], site
        )
    }
    if facts["install"] is None:
        facts |= hunt(request, site)
    runner.write_answer(sys.argv[2], facts)


def hunt(request: dict[str, Any], site: str) -> dict[str, Any]:
    """Play the plan, look harder where races were seen, and run the package's own tests."""
    effort, surface = request["effort"], request["surface"]
    _, native = installing.modules(request["name"], site)
    facts: dict[str, Any] = {"harms": [], "played": 0, "late": 0, "gil": False, "errors": {}}
    plain = Interpreter(request["python"], site, patience_s=_PATIENCE_S)
    if surface is not None:
        played, seen = played_out(
            plain, native, request["plan"], surface["prelude"], effort["plain_s"]
        )
        by_id = {scenario["id"]: scenario for scenario in request["plan"]}
        seen.sort(
            key=lambda event: (
                event["what"] != "crash",
                scenarios.count_calls(by_id[event["scenario"]]),
            )
        )
        prover = Prover(
            plain,
            surface["prelude"],
            native,
            rounds=_ROUNDS,
            deadline=time.monotonic() + 1.5 * effort["plain_s"],
        )
        harms = [
            shown_again(event, by_id[event["scenario"]], prover, effort, place)
            for place, event in enumerate(seen[:_MOST_LISTED])
        ]
        if not any(harm.get("shown") for harm in harms):
            harms += steered(request["suspects"], prover, effort)
        facts |= {
            "harms": harms,
            "played": len(played.ended),
            "late": played.late,
            "gil": played.gil,
            "errors": played.errors,
        }
    if request["tests"] is not None:
        facts["own_tests"] = owntests.run(plain, request["wheels"], request["tests"])
    return facts


def played_out(
    plain: Interpreter,
    native: set[str],
    plan: list[dict[str, Any]],
    prelude: list[str],
    seconds: float,
) -> tuple[PlayResult, list[dict[str, Any]]]:
    """Play the plan, and while there is time and no harm, play it again with more rounds: what is rare takes many.

    Returns:
        What the first time through came to, and the harm that was seen.
    """
    began = time.monotonic()
    rounds, first = _PLAYED_ROUNDS, None
    while True:
        player = Player(
            plain,
            prelude,
            native,
            rounds=rounds,
            seconds=max(1.0, seconds - (time.monotonic() - began)),
        )
        played = player.play(plan)
        player.close()
        first = first or played
        seen = [event for event in runner.deduplicate(played.events) if event["what"] in _HARM]
        if seen or not plan or time.monotonic() - began > seconds / 2:
            return first, seen
        rounds *= _MORE


def shown_again(
    event: dict[str, Any],
    scenario: dict[str, Any],
    prover: Prover,
    effort: dict[str, Any],
    place: int,
) -> dict[str, Any]:
    """Show a harm again by a small program, and find out what it needs."""
    entry = {**event, "steered": False, "calls": scenario}
    if place >= effort["proofs"] or time.monotonic() > prover.deadline:
        return entry

    def sign(run: Run) -> bool:
        return event["what"] in run.what

    if not sign(prover.run(scenario)) and not sign(prover.run(scenario)):
        return {**entry, "shown": 0, "ran": 2}
    return {**entry, **_proof(prover.shrink(scenario, sign), event["what"], prover, effort)}


def _proof(
    scenario: dict[str, Any], what: str, prover: Prover, effort: dict[str, Any]
) -> dict[str, Any]:
    def sign(run: Run) -> bool:
        return what in run.what

    shown, ran, example = prover.count(scenario, sign, effort["times"])
    found = {"calls": scenario, "shown": shown, "ran": ran}
    print(f"{what}: shown {shown} of {ran}", flush=True)
    if shown and example is not None:
        found |= {
            "script": prover.render_script(scenario, _described(what)),
            "arms": prover.variants(scenario, sign, 2),
            "output": example.output[-4000:],
            "signal": example.signal,
        }
    return found


def steered(
    suspects: list[dict[str, Any]], prover: Prover, effort: dict[str, Any]
) -> list[dict[str, Any]]:
    """Look for harm where a race was seen, with many more rounds, and with memory that tells when it was damaged."""
    found: list[dict[str, Any]] = []
    for scenario in suspects[: effort["proofs"]]:
        trial = {**scenario, "iterations": scenario["iterations"] * _AMPLIFIED}
        for malloc in ("", "debug"):
            if time.monotonic() > prover.deadline:
                return found
            run = prover.run(trial, **({"PYTHONMALLOC": malloc} if malloc else {}))
            harm = sorted(run.what & _HARM)
            if harm:
                event = {
                    "what": harm[0],
                    "scenario": scenario["id"],
                    "steered": True,
                    "malloc": malloc,
                    "signal": run.signal,
                    "stack": run.output[-3000:],
                }
                found.append({**event, **_proof(trial, harm[0], prover, effort)})
                break
    return found


def _described(what: str) -> str:
    return {
        "crash": "Threads that make these calls crash the interpreter.",
        "hang": "Threads that make these calls wait for ever.",
        "wrong": "Threads that make these calls get wrong results.",
    }[what]


if __name__ == "__main__":
    main()
