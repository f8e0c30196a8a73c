"""How long a survey of an application's lock file takes. Usage: python -m benchmarks.survey FOLDER OUTPUT.json

The lock file is made from survey.txt: the pins of an ordinary web and data stack. Cold is a wheelhouse that has
nothing, warm is a second survey into it. The index is the one that pip is configured for.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

PINS = Path(__file__).parent / "survey.txt"
TIMES = 3
"""Surveys of each kind; the median counts."""


def read_pins() -> list[tuple[str, str]]:
    """Return (name, version) of each pin."""
    pins = []
    for line in PINS.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins.append((name, version))
    return pins


def write_lock(path: Path) -> int:
    """Write the pins as a uv.lock, which is complete and so needs no resolution; return how many there are."""
    pins = read_pins()
    needed = ", ".join(f'{{ name = "{name}" }}' for name, _ in pins)
    parts = [
        "version = 1\n",
        f'[[package]]\nname = "application"\nsource = {{ virtual = "." }}\ndependencies = [{needed}]\n',
    ]
    for name, version in pins:
        parts.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
            'source = { registry = "https://index.invalid/simple" }\n'
        )
    path.write_text("\n".join(parts))
    return len(pins)


def time_survey(lock: Path, wheelhouse: Path, count: int) -> float:
    """Survey the lock file, and return the seconds of the whole command.

    Raises:
        RuntimeError: it failed, or left a dependency out.
    """
    command = [sys.executable, "-m", "builder", "survey", str(lock), "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--wheelhouse", str(wheelhouse)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    seconds = time.perf_counter() - began

    if done.returncode:
        raise RuntimeError(done.stderr)
    surveyed = len(json.loads(done.stdout)["dependencies"])
    if surveyed != count:
        raise RuntimeError(f"{surveyed} of {count} dependencies were surveyed")
    return seconds


def measure(folder: Path, say: Callable[[str], None]) -> dict[str, float]:
    """Measure surveys with and without caches, and return the seconds by name.

    Args:
        folder: scratch space, which is emptied.
        say: told each figure.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lock = folder / "uv.lock"
    count = write_lock(lock)

    cold: list[float] = []
    warm: list[float] = []
    for number in range(TIMES):
        wheelhouse = folder / f"wheelhouse-{number}"
        cold.append(time_survey(lock, wheelhouse, count))
        warm.append(time_survey(lock, wheelhouse, count))

    figures = {
        f"survey_{count}_cold_s": round(statistics.median(cold), 2),
        f"survey_{count}_warm_s": round(statistics.median(warm), 2),
    }
    for name, seconds in figures.items():
        say(f"{name}: {seconds}")
    return figures


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-survey")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    asked = parser.parse_args()
    console = Console(emoji=False)

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    figures = measure(asked.folder, say)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(figures, indent=1) + "\n")
    say(f"written: {asked.output}")


if __name__ == "__main__":
    main()
