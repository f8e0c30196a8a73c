"""What the distributions of an application offer, as far as the application itself has imported them."""

import sys
import types
from collections.abc import Iterable, Mapping

from ..stress.calls.surface import Surface, is_native_module, is_native_type


class GrowingSurface(Surface):
    """The native callables of many distributions; it imports nothing, and is looked at again when others did.

    Unlike that of one distribution, it tells distributions apart: numpy's array is none of pandas' types, though a
    module of pandas has a name for it.

    Attributes:
        homes: distributions whose extension modules are there.
    """

    def __init__(self, distributions: Mapping[str, str], natives: Iterable[str]) -> None:
        """Begin with nothing.

        Args:
            distributions: the distribution by the import name of each of its top-level and its extension modules.
            natives: import names of extension modules.
        """
        super().__init__([])
        self._distributions = distributions
        self._awaited = set(natives)
        self._counted = -1
        self.homes: set[str] = set()

    @property
    def has_changed(self) -> bool:
        """Whether modules were imported, or forgotten, since `grow` was called last."""
        return len(sys.modules) != self._counted

    def find_distribution(self, name: str) -> str:
        """Return the distribution of a module, or of what a module has, by its dotted name; empty for none of them."""
        while name:
            if name in self._distributions:
                return self._distributions[name]
            name = name.rpartition(".")[0]

        return ""

    def grow(self) -> bool:
        """Note the extension modules that are there by now; return whether there are any of the distributions."""
        self._counted = len(sys.modules)
        for name in sorted(self._awaited & sys.modules.keys()):
            module = sys.modules[name]
            if _is_imported(module) and is_native_module(module):
                self._awaited.discard(name)
                self.natives.append(module)
                self.roots.add(name.partition(".")[0])
                self._survey_module(module)

        # Only those name what is native: looking at all modules of a large application takes long.
        self.homes = {self.find_distribution(module.__name__) for module in self.natives}
        for name, module in list(sys.modules.items()):
            if self.find_distribution(name) in self.homes and _is_imported(module):
                self.modules[name] = module

        return bool(self.natives)

    def note_type(self, kind: type) -> None:
        """Note a native type that no module has a name for; nothing is done for what is of no distribution here."""
        if not is_native_type(kind):
            return

        home = str(kind.__module__)
        module = sys.modules.get(home) if self.find_distribution(home) else None
        for native in self.natives:
            if module is None and native.__name__.rpartition(".")[2] == home:
                module = native
        if module is not None:
            self._survey_type(module, kind)

    def _is_own(self, value: object, module: types.ModuleType) -> bool:
        """Return whether a value that a module has is of the module's distribution."""
        home = str(getattr(value, "__module__", None) or module.__name__)
        if home not in sys.modules:  # native code may give `__module__` any text
            return True

        return self.find_distribution(home) == self.find_distribution(module.__name__)


def _is_imported(module: object) -> bool:
    """Return whether something in `sys.modules` is a module whose import has ended.

    A module of another type may run code when it is looked at (a lazy one).
    """
    if type(module) is not types.ModuleType:
        return False

    spec = module.__dict__.get("__spec__")
    return not getattr(spec, "_initializing", False)
