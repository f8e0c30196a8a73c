"""Run a replay script several times and say what each run showed.

Usage: python -m inside.stress.replay REQUEST.json OUTPUT.json

The request has `python` (what runs it), `plain_python` (what installs), `race` (whether it is the sanitizer's), `name`,
`requirement`, `wheels` (a folder), `race_wheel` (or null), `script` and `times`; perhaps `after`, the names of
distributions to install beside the requirement: the script imports them first.

Facts: `install`, `runs`, each with `what`, `races` (places), their `locations`, `signal` and `output`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from ..supervise.accounts import supervise
from .package import installing
from .process.answer import write_answer
from .process.interpreter import Interpreter
from .proof.script_run import run_script

_PATIENCE_S = 60.0  # of one run; the farm gives the container 70 s for each
_LEAST_S = 5.0
"""How long a run without sanitizer makes calls while it shows nothing: the machine may be busier than it was when the
script was written, and threads of few short calls then run one after the other. A sanitizer needs no such luck."""

_KEPT_OUTPUT = 6000  # characters, the last ones


def main() -> None:
    """Read the request, install the distribution, run the script, and write the facts."""
    supervise()
    request_path, output_path = sys.argv[1:]
    request = json.loads(Path(request_path).read_text())
    site, failure = install(request)
    facts: dict[str, Any] = {"runs": [], "install": failure}
    if failure is None:
        facts["runs"] = run_all(request, site)

    write_answer(output_path, facts)


def install(request: dict[str, Any]) -> tuple[str, str | None]:
    """Install what is asked for; return the folder it is in, and what went wrong, or None.

    With a wheel that was compiled with the sanitizer, the folder is a copy of the installation that has this wheel.
    """
    python = request["plain_python"]
    requirements = installing.list_requirements(request)
    failure = installing.install(python, requirements, request["wheels"], installing.SITE)
    if failure is not None or not request["race_wheel"]:
        return installing.SITE, failure

    return installing.RACE_SITE, installing.install_beside(
        installing.SITE, request["race_wheel"], python, installing.RACE_SITE
    )


def run_all(request: dict[str, Any], site: str) -> list[dict[str, Any]]:
    """Run the script as often as asked for; return what each run showed, as the top of this file lists it.

    Args:
        request: what this program was asked.
        site: the folder the distribution is installed in.
    """
    _, native = installing.find_modules(request["name"], site)
    interpreter = Interpreter(request["python"], site, race=request["race"], patience_s=_PATIENCE_S)
    least_s = 0 if request["race"] else _LEAST_S
    runs = []
    for number in range(request["times"]):
        run = run_script(interpreter, request["script"], native, WHEELFARM_LEAST_S=str(least_s))
        what = sorted(run.what)
        races = sorted(run.races)
        print(f"run {number + 1}: {', '.join(what) or 'nothing'}", flush=True)
        runs.append(
            {
                "what": what,
                "races": races,
                "locations": [run.races[places] for places in races],
                "signal": run.signal,
                "output": run.output[-_KEPT_OUTPUT:],
            }
        )

    return runs


if __name__ == "__main__":
    main()
