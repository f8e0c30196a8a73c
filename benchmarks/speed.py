"""How fast the farm is. Usage: python -m benchmarks.speed FOLDER OUTPUT.json [--only builds|scale] [--rounds N]

FOLDER keeps what can be used again. What is not measured in a call stays in OUTPUT.json as it was.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from benchmarks import builds, scale

PARTS = ("builds", "scale")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-speed")
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--sizes", default=",".join(map(str, scale.SIZES)))
    parser.add_argument("--rounds", type=int, default=builds.ROUNDS)
    asked = parser.parse_args()
    console = Console(emoji=False)
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    asked.folder.mkdir(parents=True, exist_ok=True)
    for part in asked.only or PARTS:
        if part == "builds":
            results |= builds.measure(asked.folder / "builds", say, rounds=asked.rounds)
        if part == "scale":
            sizes = tuple(int(size) for size in asked.sizes.split(","))
            results["scale"] = {
                **results.get("scale", {}),
                **scale.measure(asked.folder, say, sizes=sizes),
            }
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(results, indent=1) + "\n")
    say(f"written: {asked.output}")


if __name__ == "__main__":
    main()
