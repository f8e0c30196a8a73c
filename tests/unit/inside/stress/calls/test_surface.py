"""What is native of a distribution."""

from __future__ import annotations

import sys
import types

import pytest

from builder.inside.stress.calls import surface as surfaces

# The type of `lib` in modules that cffi compiled, whose functions are attributes and need no object.
Library = type("Lib", (), {"__module__": "_cffi_backend", "shift": staticmethod(len), "limit": 3})


def test_functions_that_cffi_made_are_known_by_the_library_that_has_them(
    monkeypatch: pytest.MonkeyPatch,
):
    module = types.ModuleType("wheelfarm_shifts")
    module.lib = Library()  # type: ignore[attr-defined] # as a compiled module has it
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(surfaces, "is_native_module", lambda one: one is module)

    surface = surfaces.Surface([module.__name__])
    assert list(surface.callables) == ["wheelfarm_shifts.lib.shift"]
    assert surface.stateless == {"wheelfarm_shifts.lib.shift"}
    assert surface.find_native_name(len) == "wheelfarm_shifts.lib.shift"


@pytest.mark.parametrize("is_of_interpreter", [True, False], ids=["before", "after"])
def test_a_type_in_c_without_a_module_is_the_packages_if_it_came_with_it(
    monkeypatch: pytest.MonkeyPatch, *, is_of_interpreter: bool
):
    keys: type = type({}.keys())
    if not is_of_interpreter:
        others = surfaces._INTERPRETER_TYPES - {id(keys)}
        monkeypatch.setattr(surfaces, "_INTERPRETER_TYPES", others)
    module = types.ModuleType("wheelfarm_keys")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(surfaces, "is_native_module", lambda one: one is module)

    surface = surfaces.Surface([module.__name__])
    surface.note_owner({}.keys().isdisjoint)
    is_known = "wheelfarm_keys.dict_keys.isdisjoint" in surface.callables
    assert is_known is not is_of_interpreter
