"""Import modules in this fresh process and say what each did, to the GIL above all. Usage: see loaders.py.

The request also has `modules`, in the order in which they are imported. The answer is one record for each: `module`;
`gil` with the state `before` and `after` the import (None where the build always has one), `enabled_by`, the extension
module whose loading turned it on, and `warned`, whether the interpreter's warning of it came through; `error` and
`missing` where the import failed; `seconds` and `rss_bytes` that it took; `natives`, the distribution's extension
modules it loaded, in order, with what each declares.
"""

from __future__ import annotations

import builtins
import os
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from ..supervise.witness import make_gil_reader
from . import loaders, slots

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_GIL_WARNING = "global interpreter lock (GIL) has been enabled"


def main() -> None:
    """Import the modules that the request names, and write a record for each."""
    request, witness = loaders.begin()
    is_gil_enabled = make_gil_reader()
    watch = loaders.Watch()
    messages: list[str] = []
    warnings.showwarning = lambda message, *_: messages.append(str(message))

    for name in request["modules"]:
        witness.write({"begin": name})
        loaded_before = set(watch.loaded)
        gil_before = is_gil_enabled()

        answer = {"module": name, **time_import(name)}
        answer["gil"] = {
            "before": gil_before,
            "after": is_gil_enabled(),
            "enabled_by": watch.enabled_by,
            "warned": any(_GIL_WARNING in text for text in messages),
        }
        answer["natives"] = {
            native: slots.read_declarations(module)
            for native, module in watch.loaded.items()
            if native in request["natives"] and native not in loaded_before
        }
        witness.write(answer)

    witness.show()
    witness.close()


def time_import(name: str) -> dict[str, Any]:
    """Import a module; return what that took, and why it failed where it did."""
    answer: dict[str, Any] = {}
    bytes_before = resident_bytes()
    began = time.perf_counter()
    try:
        import_module(name)
    except BaseException as error:  # SystemExit too: a module that ends its process is a finding
        answer["error"] = loaders.describe_error(error)
        answer["missing"] = loaders.name_missing(error)
    answer["seconds"] = round(time.perf_counter() - began, 4)
    answer["rss_bytes"] = max(0, resident_bytes() - bytes_before)

    return answer


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
