"""Run a replay script several times and say what each run showed.

Usage: python -m inside.stress.replay REQUEST.json OUTPUT.json

The request has `python` (what runs it), `plain_python` (what installs), `race` (whether it is the sanitizer's), `name`, `requirement`, `wheels` (a folder),
`race_wheel` (or null), `script` and `times`. Facts: `install`, `runs`, each with `what`, `races` (places), `signal` and `output`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from . import installing, runner

_PATIENCE_S = 60.0


def main() -> None:
    """Answer for one script."""
    request = json.loads(Path(sys.argv[1]).read_text())
    site = "/tmp/site"
    facts: dict[str, Any] = {"runs": []}
    facts["install"] = installing.install(
        request["plain_python"], [request["requirement"]], request["wheels"], site
    )
    if facts["install"] is None and request["race_wheel"]:
        site = "/tmp/race-site"
        facts["install"] = installing.install_beside(
            "/tmp/site", request["race_wheel"], request["plain_python"], site
        )
    if facts["install"] is None:
        _, native = installing.find_modules(request["name"], site)
        interpreter = runner.Interpreter(
            request["python"], site, race=request["race"], patience_s=_PATIENCE_S
        )
        for number in range(request["times"]):
            run = runner.run_script(interpreter, request["script"], native)
            print(f"run {number + 1}: {', '.join(sorted(run.what)) or 'nothing'}", flush=True)
            facts["runs"].append({
                "what": sorted(run.what), "races": sorted(run.races), "signal": run.signal, "output": run.output[-6000:],
            })  # fmt: skip
    runner.write_answer(sys.argv[2], facts)


if __name__ == "__main__":
    main()
