"""Import a whole distribution in one process: its top-level modules, then the extension modules those left for later.

Usage: see loaders.py; it is also run under `-X dev` and `-W error`. A line per module: `module`, `gil` (state before
and after), `loaded`, the distribution's extension modules that came with it, in order, and `error` where it failed. A
last line has `warnings`, those the distribution's own code caused.
"""

from __future__ import annotations

import builtins
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..supervise.witness import make_gil_reader
from . import loaders

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..supervise.witness import Witness

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_MOST_WARNINGS = 20  # the first ones: what follows is more of the same
_TEXT_LIMIT = 300  # characters of a warning


def main() -> None:
    """Import every module that no earlier one brought along, then write the warnings of the distribution's own code.

    A warning counts once, however often it is given.
    """
    request, witness = loaders.begin()
    is_gil_enabled = make_gil_reader()
    watch = loaders.Watch()
    warnings_seen: dict[tuple[str, str, str], None] = {}

    def note_warning(
        message: object, category: type[Warning], filename: str, lineno: int, *_: object
    ) -> None:
        """Take a warning in place of `warnings.showwarning`; those of other code are skipped."""
        where = locate(filename, lineno, request, watch)
        if where is not None:
            warnings_seen[category.__name__, str(message)[:_TEXT_LIMIT], where] = None

    warnings.showwarning = note_warning  # type: ignore[assignment] # it takes whatever may follow

    for name in loaders.list_modules(request):
        if name not in watch.loaded:
            walk_module(name, request, watch, witness, is_gil_enabled)

    described_warnings = [
        {"category": category, "text": text, "where": where}
        for category, text, where in warnings_seen
    ]
    witness.write({"warnings": described_warnings[:_MOST_WARNINGS]})
    witness.close()


def walk_module(
    name: str,
    request: dict[str, Any],
    watch: loaders.Watch,
    witness: Witness,
    is_gil_enabled: Callable[[], bool | None],
) -> None:
    """Import one module and write a record about it, whether it failed or not."""
    loaded_before = set(watch.loaded)
    gil_before = is_gil_enabled()
    line: dict[str, Any] = {"module": name}

    witness.write({"begin": name})
    try:
        import_module(name)
    except BaseException as error:
        line["error"] = loaders.describe_error(error)
        line["missing"] = loaders.name_missing(error)

    newly_loaded = [module for module in watch.loaded if module not in loaded_before]
    line["gil"] = [gil_before, is_gil_enabled()]
    line["loaded"] = [module for module in newly_loaded if module in request["natives"]]
    witness.write(line)


def locate(filename: str, line: int, request: dict[str, Any], watch: loaders.Watch) -> str | None:
    """Return where the distribution's own code causes a warning: `FILE:LINE`, or the name of a native module.

    None where other code causes it. Empty where it is native code that cannot be named: while no module is being
    loaded, a warning with a line of this program comes from there.

    The interpreter attributes a warning of native code to the Python code that called it: the import system, the
    watching loader, or this program.
    """
    if filename == __file__ and not watch.loading:
        return ""

    is_around_native_code = filename in {__file__, loaders.__file__}
    if is_around_native_code or filename.startswith("<frozen importlib"):
        native_module = watch.loading[-1] if watch.loading else ""
        return native_module if native_module in request["natives"] else None

    try:
        path = Path(filename).relative_to(request["site"])
    except ValueError:
        return None

    is_own = path.parts[0].partition(".")[0] in loaders.list_roots(request)
    return f"{path}:{line}" if is_own else None


if __name__ == "__main__":
    main()
