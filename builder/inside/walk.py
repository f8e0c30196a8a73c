"""Import a whole distribution in one process: its top-level modules, then the extension modules those left for later.

Usage: see loaders.py; it is also run under `-X dev` and `-W error`. A line per module: `module`, `gil` (state before
and after), `loaded`, the distribution's extension modules that came with it, in order, and `error` where it failed. A
last line has `warnings`, those the distribution's own code caused.
"""

import importlib
import warnings
from pathlib import Path
from typing import Any

import loaders

_MOST = 20


def main() -> None:
    """Import everything, then answer for the warnings."""
    wanted = loaders.request()
    watch = loaders.Watch()
    seen: dict[tuple[str, str, str | None], int] = {}

    def note(message: object, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        seen.setdefault((category.__name__, str(message)[:300], place(filename, wanted["site"])), lineno)

    warnings.showwarning = note  # type: ignore[assignment] # it takes whatever may follow
    for name in loaders.names(wanted):
        if name not in watch.loaded:
            visit(name, wanted, watch)
    found = [
        {"category": category, "text": text, "where": f"{path}:{line}" if path else ""}
        for (category, text, path), line in seen.items()
        if path is not None and (not path or Path(path).parts[0].partition(".")[0] in wanted["tops"])
    ]
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
    line["loaded"] = [module for module in watch.loaded if module not in known and module in wanted["natives"]]
    loaders.journal(wanted, line)


def place(filename: str, site: str) -> str | None:
    """Return a file's path within the site; empty for this program, which stands for native code; None for others."""
    if filename == __file__:
        return ""
    try:
        return str(Path(filename).relative_to(site))
    except ValueError:
        return None


if __name__ == "__main__":
    main()
