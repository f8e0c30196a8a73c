"""Runs the farm as a user does, and finds the images that a run left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import ExitCode
from builder.evidence.image import read_image_tag
from builder.jobs.images.ids import role_image_id
from builder.store.store import Store

if TYPE_CHECKING:
    from builder.store.job_ids import JobId


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
    image = find_job_image(role_image_id("verify", base), store)
    if image is None:
        raise RuntimeError(f"the run left no image for {base}")

    return image


def find_job_image(job: JobId, store: Store) -> str | None:
    """Return the full name of the image that a job made, as the last run left it; None where there is none."""
    keys = [key for key, made_by, *_ in store.retention.evidence_rows() if made_by == job]
    evidence = store.get(keys[-1]) if keys else None
    return None if evidence is None else read_image_tag(evidence)
