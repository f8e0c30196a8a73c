"""What the import probes share: the GIL's state, and which extension modules an import loads, in order.

Every probe is called as `python -m inside.load.PROBE REQUEST`, where the request is JSON: `site`, the folder packages
are installed in; `output`, the journal it appends to, one JSON value a line; `tops`, the distribution's top-level
modules; `natives`, its extension modules. A line `{"begin": NAME}` says what is about to be imported, so that a crash
can be laid at its door.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TEXT_LIMIT = 300


def request() -> dict[str, Any]:
    """Return what the command line asks for, and import from its site from now on instead of the folder of `inside`."""
    wanted: dict[str, Any] = json.loads(sys.argv[1])
    sys.path[0] = wanted["site"]
    return wanted


def names(wanted: Mapping[str, Any]) -> list[str]:
    """Return every module a request is about, once: the top level first."""
    return list(dict.fromkeys((*wanted["tops"], *wanted["natives"])))


def journal(wanted: Mapping[str, Any], line: Mapping[str, object]) -> None:
    """Append one line to the journal, so that it survives the death of this process."""
    with Path(wanted["output"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def described(error: BaseException) -> str:
    """Return an exception as one text, without addresses: they differ from run to run."""
    text = f"{type(error).__name__}: {error}"
    return re.sub(r" at (0x[0-9a-f]+|\d{9,})", "", text)[:_TEXT_LIMIT]


def gil() -> bool | None:
    """Return whether the GIL is on, or None where this build always has one."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    return enabled() if enabled is not None and "t" in sys.abiflags else None


class Watch:
    """Sees every extension module being loaded, whatever the code around it swallows.

    Attributes:
        loaded: modules by name, in the order their loading began.
        enabled_by: the module whose loading turned the GIL on, or None.
        failed: the module whose loading raised first, or None.
        loading: the modules being loaded now, the innermost last.
    """

    def __init__(self) -> None:
        self.loaded: dict[str, object] = {}
        self.enabled_by: str | None = None
        self.failed: str | None = None
        self.loading: list[str] = []
        for step in ("create_module", "exec_module"):
            setattr(
                ExtensionFileLoader, step, self._watched(step, getattr(ExtensionFileLoader, step))
            )

    def _watched(self, step: str, original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def call(loader: ExtensionFileLoader, subject: object) -> object:
            before = gil()
            creating = step == "create_module"
            if creating:
                self.loaded.setdefault(loader.name, None)
            self.loading.append(loader.name)
            try:
                result = original(loader, subject)
            except BaseException:
                self.failed = self.failed or loader.name  # the innermost loader comes by first
                raise
            finally:
                self.loading.pop()
                if before is False and gil():
                    self.enabled_by = self.enabled_by or loader.name
            if creating:
                self.loaded[loader.name] = result
            return result

        return call
