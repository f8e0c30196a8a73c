"""Native callables of many distributions, as an application imports them."""

from __future__ import annotations

import sys
import types
from importlib.machinery import ExtensionFileLoader, ModuleSpec

import pytest

from builder.inside.smoke.surface import GrowingSurface

HOMES = {"cups": "teacup", "cups._core": "teacup", "google.jars": "jars", "google._jar": "jars"}


class Native:
    """Stands in for a native type: its class body is hidden."""


def native_module(name: str, *, is_ready: bool = True) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, ExtensionFileLoader(name, f"/site/{name}.so"))
    module.__spec__._initializing = not is_ready  # type: ignore[attr-defined]
    return module


@pytest.fixture
def surface(monkeypatch: pytest.MonkeyPatch) -> GrowingSurface:
    for name in HOMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return GrowingSurface(HOMES, ["cups._core", "google._jar"])


def test_the_distribution_is_that_of_the_longest_name(surface: GrowingSurface):
    assert surface.find_distribution("cups._core.Cup.fill") == "teacup"
    assert surface.find_distribution("google.jars.lid") == "jars"
    assert surface.find_distribution("google.other") == ""


def test_what_is_imported_later_is_known_later(
    surface: GrowingSurface, monkeypatch: pytest.MonkeyPatch
):
    assert surface.has_changed
    assert not surface.grow()
    assert not surface.has_changed

    monkeypatch.setitem(sys.modules, "cups", types.ModuleType("cups"))
    core = native_module("cups._core")
    core.measure = len
    core.borrowed = native_module
    monkeypatch.setitem(sys.modules, "cups._core", core)
    assert surface.has_changed
    assert surface.grow()
    assert surface.natives == [core]
    assert (surface.homes, set(surface.modules)) == ({"teacup"}, {"cups", "cups._core"})


def test_a_module_that_is_being_imported_is_waited_for(
    surface: GrowingSurface, monkeypatch: pytest.MonkeyPatch
):
    core = native_module("cups._core", is_ready=False)
    monkeypatch.setitem(sys.modules, "cups._core", core)
    assert not surface.grow()
    core.__spec__._initializing = False  # type: ignore[union-attr]
    assert surface.grow()


def test_a_module_that_runs_code_when_it_is_looked_at_is_not_looked_at(
    surface: GrowingSurface, monkeypatch: pytest.MonkeyPatch
):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    monkeypatch.setitem(sys.modules, "cups._core", Lazy("cups._core"))
    assert not surface.grow()


def test_what_a_module_has_of_another_distribution_is_not_its_own(
    surface: GrowingSurface, monkeypatch: pytest.MonkeyPatch
):
    core, jar = native_module("cups._core"), native_module("google._jar")
    for module in (core, jar):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    of_jars = types.SimpleNamespace(__module__="google._jar")
    of_cups = types.SimpleNamespace(__module__="cups._core")
    of_nobody = types.SimpleNamespace(__module__="nowhere")
    of_python = types.SimpleNamespace(__module__="builtins")
    owned = [surface._is_own(value, core) for value in (of_jars, of_cups, of_nobody, of_python)]
    assert owned == [False, True, True, False]
