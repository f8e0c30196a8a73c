"""Import one module in this fresh process and say what that did, to the GIL above all. Usage: see loaders.py.

The request also has `module`. The answer is one line: `gil` with the state `before` and `after` the import (None where
the build always has one), `enabled_by`, the extension module whose loading turned it on, and `warned`, whether the
interpreter's warning of it came through; `error` and `missing` where the import failed; `seconds` and `rss_bytes` that
it took; `natives`, the distribution's extension modules it loaded, in order, with what each declares.
"""

import importlib
import os
import time
import warnings
from pathlib import Path
from typing import Any

from . import loaders, slots


def main() -> None:
    """Import and answer."""
    wanted = loaders.request()
    watch = loaders.Watch()
    messages: list[str] = []
    warnings.showwarning = lambda message, *_: messages.append(str(message))
    answer: dict[str, Any] = {}
    before, rss = loaders.gil(), resident()
    began = time.perf_counter()
    try:
        importlib.import_module(wanted["module"])
    except BaseException as error:
        answer["error"] = loaders.described(error)
        answer["missing"] = (
            getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        )
    answer["seconds"] = round(time.perf_counter() - began, 4)
    answer["rss_bytes"] = max(0, resident() - rss)
    answer["gil"] = {"before": before, "after": loaders.gil(), "enabled_by": watch.enabled_by}
    answer["gil"]["warned"] = any(
        "global interpreter lock (GIL) has been enabled" in text for text in messages
    )
    own = set(wanted["natives"])
    answer["natives"] = {
        name: slots.declared(module) for name, module in watch.loaded.items() if name in own
    }
    loaders.journal(wanted, answer)


def resident() -> int:
    """Return how much memory this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
