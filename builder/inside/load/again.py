"""Import a distribution's modules, forget them, and import them once more. Usage: see loaders.py.

A line per module that the first import had: `module`, and `error` where the second one failed.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from . import loaders

if TYPE_CHECKING:
    from collections.abc import Mapping


def main() -> None:
    """Import every module, remove the distribution's modules from `sys.modules`, and import again what worked.

    Only the second import is answered for: what fails the first time is the business of the other probes.
    """
    request, witness = loaders.begin()
    witness.write({"begin": "everything for the first time"})
    imported_modules = [
        name for name in loaders.list_modules(request) if try_import(request, name) is None
    ]

    roots = loaders.list_roots(request)
    for name in [*sys.modules]:
        if name.partition(".")[0] in roots:
            del sys.modules[name]
    gc.collect()

    for name in imported_modules:
        witness.write({"begin": name})
        error = try_import(request, name)
        line = {"module": name}
        if error:
            line["error"] = error
        witness.write(line)
    witness.close()


def try_import(request: Mapping[str, Any], name: str) -> str | None:
    """Import a module; return the exception as text, or None where it was imported."""
    try:
        loaders.import_asked(request, name)
    except BaseException as error:
        return loaders.describe_error(error)

    return None


if __name__ == "__main__":
    main()
