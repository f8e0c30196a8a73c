"""Import a whole distribution in one process: its top-level modules, then the extension modules those left for later.

Usage: see loaders.py; it is also run under `-X dev` and `-W error`. A line per module: `module`, `gil` (state before
and after), `loaded`, the distribution's extension modules that came with it, in order, and `error` where it failed. A
last line has `warnings`, those the distribution's own code caused.
"""

import importlib
import warnings
from pathlib import Path
from typing import Any

from . import loaders

_MOST = 20


def main() -> None:
    """Import everything, then answer for the warnings."""
    wanted = loaders.request()
    watch = loaders.Watch()
    seen: dict[tuple[str, str, str], None] = {}

    def note(
        message: object, category: type[Warning], filename: str, lineno: int, *_: object
    ) -> None:
        if (where := place(filename, lineno, wanted, watch)) is not None:
            seen[category.__name__, str(message)[:300], where] = None

    warnings.showwarning = note  # type: ignore[assignment] # it takes whatever may follow
    for name in loaders.names(wanted):
        if name not in watch.loaded:
            visit(name, wanted, watch)
    found = [{"category": category, "text": text, "where": where} for category, text, where in seen]
    loaders.journal(wanted, {"warnings": found[:_MOST]})


def visit(name: str, wanted: dict[str, Any], watch: loaders.Watch) -> None:
    """Import one module and say what came with it."""
    known = set(watch.loaded)
    before = loaders.gil()
    line: dict[str, Any] = {"module": name}
    loaders.journal(wanted, {"begin": name})
    try:
        importlib.import_module(name)
    except BaseException as error:
        line["error"] = loaders.described(error)
    line["gil"] = [before, loaders.gil()]
    line["loaded"] = [
        module for module in watch.loaded if module not in known and module in wanted["natives"]
    ]
    loaders.journal(wanted, line)


def place(filename: str, line: int, wanted: dict[str, Any], watch: loaders.Watch) -> str | None:
    """Return where the distribution's own code causes a warning, or None where another's does.

    A warning of native code has the place of the Python code around it: of the import system, the watching loader, or
    this program.
    """
    if filename == __file__ and not watch.loading:
        return ""
    if filename in {__file__, loaders.__file__} or filename.startswith("<frozen importlib"):
        culprit = watch.loading[-1] if watch.loading else ""
        return culprit if culprit in wanted["natives"] else None
    try:
        path = Path(filename).relative_to(wanted["site"])
    except ValueError:
        return None
    return f"{path}:{line}" if path.parts[0].partition(".")[0] in wanted["tops"] else None


if __name__ == "__main__":
    main()
