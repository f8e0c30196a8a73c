"""Import one module in this fresh process and say what that did, to the GIL above all.

Usage: probe.py SITE MODULE OUTPUT.json

The answer: `gil` with the state `before` and `after` the import (None where the build always has one), `enabled_by`,
the extension module whose loading turned the GIL on; `error` and `missing` where the import failed.
"""

import importlib
import json
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def gil() -> bool | None:
    """Return whether the GIL is on, or None where this build always has one."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled() if enabled is not None and hasattr(sys, "abiflags") and "t" in sys.abiflags else None


def watch(culprits: list[str]) -> None:
    """Note each extension module whose creation or execution turns the GIL on, warnings swallowed or not."""

    def watched(original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def call(loader: ExtensionFileLoader, subject: object) -> object:
            before = gil()
            try:
                return original(loader, subject)
            finally:
                if before is False and gil() and not culprits:
                    culprits.append(loader.name)  # the innermost loader returns first

        return call

    for step in ("create_module", "exec_module"):
        setattr(ExtensionFileLoader, step, watched(getattr(ExtensionFileLoader, step)))


def main() -> None:
    """Import and answer."""
    site, module, output = sys.argv[1:]
    sys.path[0] = site  # instead of the folder of this program
    culprits: list[str] = []
    watch(culprits)
    answer: dict[str, Any] = {"gil": {"before": gil()}}
    try:
        importlib.import_module(module)
    except BaseException as error:
        answer["error"] = f"{type(error).__name__}: {error}"
        answer["missing"] = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
    answer["gil"] |= {"after": gil(), "enabled_by": culprits[0] if culprits else None}
    Path(output).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
