"""When and on what a measurement was made."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def describe_measurement(result: Path, effort: str) -> dict[str, Any]:
    """Return `date`, `cores`, `memory_gib` and `effort` of a measurement that was made on this machine.

    Args:
        result: what it wrote last; today is its date where there is no such file.
        effort: of the runs; empty where that means nothing.
    """
    today = datetime.datetime.now(datetime.UTC)
    written = today
    if result.exists():
        written = datetime.datetime.fromtimestamp(result.stat().st_mtime, datetime.UTC)

    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": written.date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_bytes / (1 << 30)),
        "effort": effort,
    }
