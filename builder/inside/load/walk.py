"""Import a whole distribution in one process: its top-level modules, then the extension modules those left for later.

Usage: see loaders.py; it is also run under `-X dev` and `-W error`. A line per module: `module`, `gil` (state before
and after), `loaded`, the distribution's extension modules that came with it, in order, and `error` where it failed. A
last line has `warnings`, those the distribution's own code caused.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

from . import loaders

_MOST_WARNINGS = 20  # the first ones: what follows is more of the same
_TEXT_LIMIT = 300  # characters of a warning


def main() -> None:
    """Import everything, then answer for the warnings."""
    wanted = loaders.read_request()
    watch = loaders.Watch()
    seen: dict[tuple[str, str, str], None] = {}

    def note(
        message: object, category: type[Warning], filename: str, lineno: int, *_: object
    ) -> None:
        where = locate(filename, lineno, wanted, watch)
        if where is not None:
            seen[category.__name__, str(message)[:_TEXT_LIMIT], where] = None

    warnings.showwarning = note  # type: ignore[assignment] # it takes whatever may follow

    for name in loaders.list_modules(wanted):
        if name not in watch.loaded:
            import_module(name, wanted, watch)

    found = [{"category": category, "text": text, "where": where} for category, text, where in seen]
    loaders.write_line(wanted, {"warnings": found[:_MOST_WARNINGS]})


def import_module(name: str, wanted: dict[str, Any], watch: loaders.Watch) -> None:
    """Import one module and say what came with it."""
    loaded_before = set(watch.loaded)
    gil_before = loaders.is_gil_enabled()
    line: dict[str, Any] = {"module": name}

    loaders.write_line(wanted, {"begin": name})
    try:
        importlib.import_module(name)
    except BaseException as error:
        line["error"] = loaders.describe_error(error)

    new = [module for module in watch.loaded if module not in loaded_before]
    line["gil"] = [gil_before, loaders.is_gil_enabled()]
    line["loaded"] = [module for module in new if module in wanted["natives"]]
    loaders.write_line(wanted, line)


def locate(filename: str, line: int, wanted: dict[str, Any], watch: loaders.Watch) -> str | None:
    """Return where the distribution's own code causes a warning, or None where another's does.

    A warning of native code has the place of the Python code around it: of the import system, the watching loader, or
    this program.
    """
    if filename == __file__ and not watch.loading:
        return ""

    is_around_native_code = filename in {__file__, loaders.__file__}
    if is_around_native_code or filename.startswith("<frozen importlib"):
        culprit = watch.loading[-1] if watch.loading else ""
        return culprit if culprit in wanted["natives"] else None

    try:
        path = Path(filename).relative_to(wanted["site"])
    except ValueError:
        return None

    is_own = path.parts[0].partition(".")[0] in wanted["tops"]
    return f"{path}:{line}" if is_own else None


if __name__ == "__main__":
    main()
