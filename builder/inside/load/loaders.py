"""What the import probes share: the GIL's state, and which extension modules an import loads, in order.

Every probe is called as `python -m inside.load.PROBE`, and asked as inside.supervise.witness says: `site`, the folder
packages are installed in; `tops`, the distribution's top-level modules; `natives`, its extension modules. It answers by
records, the last of which says that it came to its end. A record `{"begin": NAME}` says what is about to be imported,
so that a crash can be laid at its door.

What decides a verdict is bound before anything is imported: the package may replace it in its module.
"""

from __future__ import annotations

import builtins
import re
import sys
from importlib.machinery import ExtensionFileLoader
from typing import TYPE_CHECKING, Any

from ..supervise.witness import (
    Witness,
    find_gil,
    hide_programs,
    make_gil_reader,
    read_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

_TEXT_LIMIT = 300  # characters of an exception: some quote whole files
_MOST_CAUSES = 4
_READ_CAUSE = vars(BaseException)["__cause__"].__get__  # whatever a class of the package says
_READ_CONTEXT = vars(BaseException)["__context__"].__get__


def begin() -> tuple[dict[str, Any], Witness]:
    """Read what the supervisor asks, and make the folder of packages the first one that imports look in.

    Returns:
        The request; and what writes the records. The farm's programs are in `sys.modules` no more.
    """
    asked = read_request()
    request: dict[str, Any] = asked["request"]
    witness = Witness(asked["token"], asked["descriptor"], looked=asked["looked"])
    witness.write({"gil_at": find_gil()})
    witness.show()
    # In the place of the folder of `inside`, where the process was started: the package must not see it.
    sys.path[0] = request["site"]
    hide_programs()

    return request, witness


def list_modules(request: Mapping[str, Any]) -> list[str]:
    """Return the names of all modules of a request: the top-level ones first, then the native ones, each once."""
    return list(dict.fromkeys((*request["tops"], *request["natives"])))


def list_roots(request: Mapping[str, Any]) -> set[str]:
    """Return the names at the beginning of the top-level modules of a request: `google` of `google.protobuf`."""
    return {name.partition(".")[0] for name in request["tops"]}


def describe_error(error: BaseException) -> str:
    """Return an exception as one text, without addresses: they differ from run to run.

    pybind11 says `initialization failed` of whatever went wrong: what caused an exception is told with it.
    """
    texts = [_write_error(error) for error in list_causes(error)]
    return "; caused by ".join(texts)[:_TEXT_LIMIT]


def list_causes(error: BaseException) -> list[BaseException]:
    """Return an exception and what caused it, the exceptions of `raise … from …`, a few at most."""
    causes = [error]
    while len(causes) < _MOST_CAUSES:
        cause = _READ_CAUSE(causes[-1])
        if cause is None:
            break
        causes.append(cause)

    return causes


def name_missing(error: BaseException) -> str | None:
    """Return the module that could not be found, for which an import fails; None where it fails for another reason.

    What an exception was raised in the place of counts as well: "install foo[extra]" is what users are told.
    """
    reason: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if not isinstance(reason, ImportError):
            break
        if isinstance(reason, ModuleNotFoundError) and type(reason.name) is str:
            return reason.name
        reason = _READ_CAUSE(reason) or _READ_CONTEXT(reason)

    return None


def _write_error(error: BaseException) -> str:
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:  # its text is made by code of the package
        return f"{type(error).__name__}: its text raises an exception"

    return re.sub(r" at (0x[0-9a-f]+|\d{9,})", "", text)


class Watch:
    """Sees every extension module being loaded, whatever the code around it swallows.

    Attributes:
        loaded: modules by name, in the order their loading began.
        enabled_by: the module whose loading turned the GIL on, or None.
        failed: the module whose loading raised first, or None.
        loading: the modules being loaded now, the innermost last.
    """

    def __init__(self) -> None:
        """Start watching: from now on this process's loader of extension modules reports what it does.

        It is never undone. A probe is a process of its own.
        """
        self._is_gil_enabled = make_gil_reader()
        self.loaded: dict[str, object] = {}
        self.enabled_by: str | None = None
        self.failed: str | None = None
        self.loading: list[str] = []

        for step in ("create_module", "exec_module"):
            original = getattr(ExtensionFileLoader, step)
            setattr(ExtensionFileLoader, step, self._wrap(step, original))

    def _wrap(self, step: str, original: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """Return a step of the extension loader that does what the original does, and notes it down.

        Args:
            step: `create_module`, which loads the shared object, or `exec_module`, which runs the module's code.
            original: the loader's own method.
        """
        is_creation = step == "create_module"

        def call_step(loader: ExtensionFileLoader, spec_or_module: object) -> object:
            """Do the step, and note which module it was of, whether it failed, and whether it turned the GIL on."""
            gil_before = self._is_gil_enabled()
            if is_creation:
                self.loaded.setdefault(loader.name, None)

            self.loading.append(loader.name)
            try:
                result = original(loader, spec_or_module)
            except BaseException:
                self.failed = self.failed or loader.name  # the innermost loader comes by first
                raise
            finally:
                self.loading.pop()
                if gil_before is False and self._is_gil_enabled():
                    self.enabled_by = self.enabled_by or loader.name

            if is_creation:
                self.loaded[loader.name] = result
            return result

        return call_step
