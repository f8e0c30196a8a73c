"""Runs the farm as a user does, and finds the images that a run left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from builder.errors import ExitCode
from builder.evidence.image import read_image_tag
from builder.jobs.images.ids import role_image_id
from builder.store.store import Store


def run_farm(matrix: Path, wheelhouse: Path, effort: str) -> float:
    """Run the farm, with its progress shown; return the seconds that took."""
    command = [
        sys.executable, "-m", "builder", "run", "--matrix", str(matrix), "--wheelhouse", str(wheelhouse),
        "--effort", effort,
    ]  # fmt: skip
    print("$ wheelfarm", *command[3:], flush=True)
    started = time.monotonic()
    exit_code = subprocess.run(command, check=False).returncode
    if exit_code not in {ExitCode.ADMISSIBLE, ExitCode.FAULTS, ExitCode.UNDETERMINED}:
        raise RuntimeError(f"the farm ended with exit code {exit_code}: nothing was measured")
    return round(time.monotonic() - started, 1)


def find_image(base: str, store: Store) -> str:
    """Return the full name of the image in which wheels are verified on a base, as the last run left it."""
    wanted = role_image_id("verify", base)
    keys = [key for key, job, *_ in store.retention.evidence_rows() if job == wanted]
    evidence = store.get(keys[-1]) if keys else None
    if evidence is None:
        raise RuntimeError(f"the run left no image for {base}")
    return read_image_tag(evidence)
