"""Import a distribution's modules, forget them, and import them once more. Usage: see loaders.py.

A line per module that the first import had: `module`, and `error` where the second one failed.
"""

from __future__ import annotations

import gc
import importlib
import sys

from . import loaders


def main() -> None:
    """Import every module, remove the distribution's modules from `sys.modules`, and import again what worked.

    Only the second import is answered for: what fails the first time is the business of the other probes.
    """
    request = loaders.read_request()
    loaders.write_line(request, {"begin": "everything for the first time"})
    imported_modules = [
        name for name in loaders.list_modules(request) if import_module(name) is None
    ]

    for name in [*sys.modules]:
        if name.partition(".")[0] in request["tops"]:
            del sys.modules[name]
    gc.collect()

    for name in imported_modules:
        loaders.write_line(request, {"begin": name})
        error = import_module(name)
        line = {"module": name}
        if error:
            line["error"] = error
        loaders.write_line(request, line)


def import_module(name: str) -> str | None:
    """Import a module; return the exception as text, or None where it was imported."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return loaders.describe_error(error)

    return None


if __name__ == "__main__":
    main()
