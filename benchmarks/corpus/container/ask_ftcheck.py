"""Asks `ftcheck stress` about a wheel that was compiled with ThreadSanitizer; runs in a container.

Usage: ask_ftcheck.py TOOL-FOLDER WHEEL PLAIN-PYTHON RACE-PYTHON ANSWER.json

ftcheck compiles Rust, by a step of its own, and then lets threads call whatever native module came out, whatever that
was written in. Here a wheel that is compiled already stands in for that step. The rest is ftcheck's own: what it calls
and with which arguments, which reports of the sanitizer count, and what it names.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_WORK = Path("/tmp/work")
_SITE = Path("/tmp/site")
_SYMBOLIZER = "/usr/local/bin/llvm-symbolizer"

_THREADS = 8
_ITERATIONS = 200
"""Threads, and calls of each for a pair: ftcheck's own default values."""

_SEED = 1
"""Of the order of pairs and calls. ftcheck draws one for each run; a fixed one makes runs alike."""

_BUDGET_S = 30.0
"""As long as wheelfarm looks for races at `--effort standard`; ftcheck's own default is 120 s."""

_STALL_S = 45
"""Without a call that ends, after which a pair counts as a hang. ftcheck waits for 300 s; the calls here take
milliseconds."""

_MOST_PLACES = 100


def main() -> None:
    """Install the wheel, let ftcheck look at it, and write what it found."""
    tool, wheel_name, plain_python, race_python, answer = sys.argv[1:]
    wheel = Path(wheel_name)
    sys.path.insert(0, tool)
    from ftcheck import stress  # type: ignore[import-not-found]  # comes with the tool
    from ftcheck.ci import environment, pipeline  # type: ignore[import-not-found]

    install(wheel, plain_python)
    project = _WORK / "project"
    project.mkdir(parents=True)

    def stand_in(env: Any, options: Any, outcome: Any, **_: Any) -> Any:  # noqa: ANN401 - ftcheck's own types
        """Say where the compiled wheel is, and whether importing it turns the GIL on."""
        reports = _WORK / "reports"
        reports.mkdir()
        outcome.extension_modules = pipeline._extension_modules(wheel)
        variables = pipeline.runtime_env(env, options, _WORK)
        modules = pipeline.native_modules(wheel)
        outcome.notes.extend(pipeline._gil_notes(race_python, modules, variables, _WORK))
        return pipeline.Prepared(python=race_python, wheel=wheel, tsan_dir=reports)

    stress.prepare = stand_in
    stress.STALL_SECONDS = _STALL_S
    tools = environment.Environment(race_python, "none", symbolizer=_SYMBOLIZER)
    options = pipeline.Options(project=project, work_dir=_WORK, threads=_THREADS)
    limits = stress.StressOptions(_SEED, budget_seconds=_BUDGET_S, iterations=_ITERATIONS)
    outcome = stress.run(tools, options, limits, stress.load_config(project))

    # That importing it turns the GIL on is a note of ftcheck, which is what a person is to act on.
    places = [note for note in outcome.notes if "GIL" in note]
    for finding in outcome.findings:
        primary = finding["primary"]
        places.append(
            f"{primary['file']}:{primary['line']} {finding['symbol']} {finding['message']}"
        )

    driven, callables = stress.coverage(outcome.result)
    verdict = stress.verdict(tools, outcome)
    note = f"{driven} of {callables} callables; {verdict.headline}"
    Path(answer).write_text(json.dumps({"places": places[:_MOST_PLACES], "note": note}))


def install(wheel: Path, python: str) -> None:
    """Install a wheel where both interpreters find it: pip runs in the one without the sanitizer."""
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    offline = ["--no-index", "--no-compile", "--target", str(_SITE)]
    subprocess.run([*pip, *offline, str(wheel)], check=True)
    os.environ["PYTHONPATH"] = str(_SITE)


if __name__ == "__main__":
    main()
