"""Import a distribution's modules, forget them, and import them once more. Usage: see loaders.py.

A line per module that the first import had: `module`, and `error` where the second one failed.
"""

from __future__ import annotations

import gc
import importlib
import sys

from . import loaders


def main() -> None:
    """Import, delete from `sys.modules`, import again."""
    wanted = loaders.read_request()
    loaders.write_line(wanted, {"begin": "everything for the first time"})
    first = [name for name in loaders.list_modules(wanted) if import_module(name) is None]

    for name in [*sys.modules]:
        if name.partition(".")[0] in wanted["tops"]:
            del sys.modules[name]
    gc.collect()

    for name in first:
        loaders.write_line(wanted, {"begin": name})
        error = import_module(name)
        line = {"module": name}
        if error:
            line["error"] = error
        loaders.write_line(wanted, line)


def import_module(name: str) -> str | None:
    """Import a module and return what went wrong, or None."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return loaders.describe_error(error)

    return None


if __name__ == "__main__":
    main()
