"""Import a distribution's modules, forget them, and import them once more. Usage: see loaders.py.

A line per module that the first import had: `module`, and `error` where the second one failed.
"""

import gc
import importlib
import sys

from . import loaders


def main() -> None:
    """Import, delete from `sys.modules`, import again."""
    wanted = loaders.request()
    loaders.journal(wanted, {"begin": "everything for the first time"})
    first = [name for name in loaders.names(wanted) if attempt(name) is None]
    for name in [*sys.modules]:
        if name.partition(".")[0] in wanted["tops"]:
            del sys.modules[name]
    gc.collect()
    for name in first:
        loaders.journal(wanted, {"begin": name})
        error = attempt(name)
        loaders.journal(wanted, {"module": name, **({"error": error} if error else {})})


def attempt(name: str) -> str | None:
    """Import a module and return what went wrong, or None."""
    try:
        importlib.import_module(name)
    except BaseException as error:
        return str(loaders.described(error))
    return None


if __name__ == "__main__":
    main()
