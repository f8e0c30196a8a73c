"""Look for data races: learn how to call a distribution, then let threads do so under ThreadSanitizer.

Usage: python -m inside.stress.race REQUEST.json OUTPUT.json

The request has `python` and `race_python`, `name`, `requirement`, `wheels` (a folder), `race_wheel`, `sdist`, `recipes`, `seed`,
`signs` (see scenarios.py), `tests` (see owntests.py; or null) and `effort` (`threads`, `pairs`, `learn_s`, `race_s`, `proofs`, `times`).

Facts: `pairs`, pairs of operations that were tried on one object, `side_by_side`, calls each thread made beside the others' in such
a trial (the median); `preflight` (`racy_seen`, `clean_silent`), `install`, `surface` (what learn.py wrote, without what only it needs),
`scenarios`, `played`, `under_threads` (native callables), `late`, `gil`, `races` (by place), `advisory` (races that are not the
package's own, or lock-free by design), `harms` (crashes and hangs under the sanitizer). A race or harm that was shown again has
`script`, `shown`, `ran`. `own_tests`: what its own tests came to under the sanitizer; a race that they alone showed has no script.
"""

import json
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

from . import installing, owntests, runner, scenarios, speed
from .reproducer import Prover
from .runner import Interpreter, Player

_CANARIES = "/opt/race/canaries"
_PATIENCE_S = 12.0
_ROUNDS = 12
_MOST_LISTED = 40


def main() -> None:
    """Answer for one distribution."""
    request = json.loads(Path(sys.argv[1]).read_text())
    facts: dict[str, Any] = {
        "preflight": preflight(request["race_python"], request["effort"]["threads"])
    }
    site, race_site = "/tmp/site", "/tmp/race-site"
    facts["install"] = installing.install(
        request["python"], [request["requirement"]], request["wheels"], site
    )
    if facts["install"] is None:
        facts["install"] = installing.beside(
            site, request["race_wheel"], request["python"], race_site
        )
    if facts["install"] is None:
        facts |= hunt(request, site, race_site)
    runner.write_answer(sys.argv[2], facts)


def preflight(python: str, threads: int) -> dict[str, bool]:
    """See whether the sanitizer sees a race that is there, and none that is not, in this very place."""
    seen: dict[str, set[str]] = {}
    for canary in ("canary_racy", "canary_clean"):
        interpreter = Interpreter(python, _CANARIES, race=True, patience_s=_PATIENCE_S)
        calls = [[[f"{canary}.step()", None]]]
        scenario = {
            "id": canary, "kind": "function", "process": canary, "make": None, "argument": None, "rows": calls, "observe": [],
            "sharing": "fresh", "iterations": 6000, "threads": threads, "natives": [],
        }  # fmt: skip
        modules = {path.name for path in Path(_CANARIES).glob("*.so")}
        player = Player(interpreter, [canary], modules, rounds=3, seconds=30)
        played = player.play([scenario])
        player.close()
        ended = canary in played.ended
        seen[canary] = {
            place for event in played.events for place in event.get("places", [event["what"]])
        } | (set() if ended else {"did not end"})
    print("preflight", seen, flush=True)
    return {
        "racy_seen": any(place.startswith("canary_step") for place in seen["canary_racy"]),
        "clean_silent": not seen["canary_clean"],
    }


def hunt(request: dict[str, Any], site: str, race_site: str) -> dict[str, Any]:
    """Learn, play, and show again what was found."""
    effort = request["effort"]
    names, native = installing.modules(request["name"], race_site)
    plain = Interpreter(request["python"], site)
    race = Interpreter(request["race_python"], race_site, race=True, patience_s=_PATIENCE_S)
    asked = {
        "modules": names,
        "folder": unpacked(request["sdist"]),
        "recipes": request["recipes"],
        "seconds": effort["learn_s"],
    }
    surface = runner.learn(plain, asked)
    if surface is None:
        return {"surface": None}
    plan = scenarios.plan(
        surface,
        threads=effort["threads"],
        seed=request["seed"],
        pairs=effort["pairs"],
        signs=request["signs"],
    )
    print(
        f"{len(surface['callables'])} native callables, {len(surface['reached'])} can be called, {len(plan)} scenarios",
        flush=True,
    )
    player = Player(race, surface["prelude"], native, rounds=1, seconds=effort["race_s"])
    played = player.play(plan)
    player.close()
    by_id = {scenario["id"]: scenario for scenario in plan}
    ended = set(played.ended)
    events = runner.deduplicate(played.events)
    prover = Prover(
        race,
        surface["prelude"],
        native,
        rounds=_ROUNDS,
        deadline=time.monotonic() + effort["race_s"],
    )
    races = [event for event in events if event["what"] == "race"]
    tested = tests_raced(request, race, native, {tuple(event["places"]) for event in races})
    own = sorted(
        (event for event in races if is_own(event)),
        key=lambda event: scenarios.count_calls(by_id[event["scenario"]]),
    )
    harms = sorted(
        (event for event in events if event["what"] in {"crash", "hang"}),
        key=lambda event: scenarios.count_calls(by_id[event["scenario"]]),
    )
    return {
        "surface": {
            **{
                name: surface[name]
                for name in ("prelude", "failed", "callables", "reached", "fatal", "complete")
            },
            "calls": speed.choose_calls(surface),
        },
        "plan": plan,
        "scenarios": len(plan),
        "played": len(ended),
        "late": played.late,
        "gil": played.gil,
        "under_threads": sorted(
            {
                name
                for scenario in plan
                if scenario["id"] in ended and scenario["threads"] > 1
                for name in scenario["natives"]
            }
        ),
        "natives": sorted(native),
        **trials(plan, ended),
        "errors": played.errors,
        "own_tests": {name: value for name, value in tested.items() if name != "races"}
        if tested
        else None,
        "races": [
            *proved(own[:_MOST_LISTED], by_id, prover, effort),
            *({**event, "calls": None} for event in tested.get("races", ()) if is_own(event)),
        ],
        "advisory": [event for event in [*races, *tested.get("races", ())] if not is_own(event)][
            :_MOST_LISTED
        ],
        "harms": proved(harms[:_MOST_LISTED], by_id, prover, effort),
    }


def trials(plan: list[dict[str, Any]], ended: set[str]) -> dict[str, int]:
    """Count what a race had to show itself in."""
    done = [
        one for one in plan if one["id"] in ended and not one.get("once") and one["threads"] > 1
    ]
    made = sorted(runner.adapt_for_sanitizer(one)["iterations"] for one in done)
    return {
        "pairs": sum(one["kind"] == "pair" for one in done),
        "side_by_side": made[len(made) // 2] if made else 0,
    }


def tests_raced(
    request: dict[str, Any], race: Interpreter, native: set[str], known: set[tuple[str, ...]]
) -> dict[str, Any]:
    """Run the distribution's own tests under the sanitizer; of their races, those that were not known are kept."""
    if request["tests"] is None:
        return {}
    tested = owntests.raced(race, request["wheels"], native, request["tests"])
    fresh = {
        tuple(event["places"]): event
        for event in tested["races"]
        if tuple(event["places"]) not in known
    }
    print(
        f"own tests under the sanitizer: {tested.get('passed')} passed, {len(fresh)} more races",
        flush=True,
    )
    return {**tested, "races": list(fresh.values())[:_MOST_LISTED]}


def is_own(event: dict[str, Any]) -> bool:
    """Return whether a race counts against the package."""
    return bool(event["owner"] == "package" and not event["lock_free"])


def proved(
    events: list[dict[str, Any]],
    by_id: dict[str, dict[str, Any]],
    prover: Prover,
    effort: dict[str, Any],
) -> list[dict[str, Any]]:
    """Show the first events again by small programs; the others stay as they were seen."""
    found: list[dict[str, Any]] = []
    for place, event in enumerate(events):
        scenario = by_id[event["scenario"]]
        entry = {**event, "calls": scenario}
        if place < effort["proofs"] and time.monotonic() < prover.deadline:

            def sign(run: runner.Run, event: dict[str, Any] = event) -> bool:
                if event["what"] == "race":
                    return tuple(event["places"]) in run.races
                return event["what"] in run.what

            small = prover.shrink(scenario, sign)
            shown, ran, example = prover.count(small, sign, effort["times"])
            if shown:
                title = describe(event)
                entry |= {
                    "calls": small,
                    "script": prover.render_script(small, title),
                    "shown": shown,
                    "ran": ran,
                }
                if event["what"] != "race":
                    entry["arms"] = prover.variants(small, sign, 2)
                entry["output"] = example.output[-3000:] if example else ""
            else:
                entry |= {"shown": 0, "ran": ran}
            print(f"{event['what']} {event.get('places', '')}: shown {shown} of {ran}", flush=True)
        found.append(entry)
    return found


def describe(event: dict[str, Any]) -> str:
    """Say in a line what a program shows."""
    if event["what"] == "race":
        return f"A data race between {' and '.join(event['places'])}: ThreadSanitizer reports it."
    return f"A {event['what']} when threads share an object."


def unpacked(sdist: str | None) -> str | None:
    """Unpack an sdist, whose tests and examples tell how it is called."""
    if sdist is None:
        return None
    folder = Path("/tmp/sdist")
    folder.mkdir(exist_ok=True)
    try:
        if sdist.endswith(".zip"):
            with zipfile.ZipFile(sdist) as archive:
                archive.extractall(folder)
        else:
            with tarfile.open(sdist) as tar:
                tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, zipfile.BadZipFile):
        return None
    return str(next(iter(sorted(path for path in folder.iterdir() if path.is_dir())), folder))


if __name__ == "__main__":
    main()
