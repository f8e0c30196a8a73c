"""Import one module in this fresh process and say what that did, to the GIL above all. Usage: see loaders.py.

The request also has `module`. The answer is one record: `gil` with the state `before` and `after` the import (None
where the build always has one), `enabled_by`, the extension module whose loading turned it on, and `warned`, whether
the interpreter's warning of it came through; `error` and `missing` where the import failed; `seconds` and `rss_bytes`
that it took; `natives`, the distribution's extension modules it loaded, in order, with what each declares.
"""

from __future__ import annotations

import builtins
import os
import time
import warnings
from pathlib import Path
from typing import Any

from ..supervise.witness import make_gil_reader
from . import loaders, slots

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_GIL_WARNING = "global interpreter lock (GIL) has been enabled"


def main() -> None:
    """Import the module that the request names, and write one record with what that did to this process."""
    request, witness = loaders.begin()
    is_gil_enabled = make_gil_reader()
    watch = loaders.Watch()
    messages: list[str] = []
    warnings.showwarning = lambda message, *_: messages.append(str(message))

    answer: dict[str, Any] = {}
    gil_before = is_gil_enabled()
    bytes_before = resident_bytes()
    began = time.perf_counter()
    try:
        loaders.import_asked(request, request["module"])
    except BaseException as error:  # SystemExit too: a module that ends its process is a finding
        answer["error"] = loaders.describe_error(error)
        answer["missing"] = name_missing(error)
    answer["seconds"] = round(time.perf_counter() - began, 4)
    answer["rss_bytes"] = max(0, resident_bytes() - bytes_before)

    answer["gil"] = {
        "before": gil_before,
        "after": is_gil_enabled(),
        "enabled_by": watch.enabled_by,
        "warned": any(_GIL_WARNING in text for text in messages),
    }
    answer["natives"] = {
        name: slots.read_declarations(module)
        for name, module in watch.loaded.items()
        if name in request["natives"]
    }
    witness.write(answer)
    witness.show()
    witness.close()


def name_missing(error: BaseException) -> str | None:
    """Return the module that could not be found; None where an exception does not say so."""
    if isinstance(error, ModuleNotFoundError) and type(error.name) is str:
        return error.name
    return None


def resident_bytes() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
