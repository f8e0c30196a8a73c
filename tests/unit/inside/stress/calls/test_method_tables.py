"""Tables of the standard library's extension modules, read in the interpreter that runs the tests."""

import _json
import ctypes
from pathlib import Path

import pytest

from builder.inside.stress.calls import method_tables
from builder.inside.stress.calls.method_tables import list_native_functions
from builder.inside.stress.calls.surface import Surface
from builder.inside.stress.sanitizer.native_names import NativeNames


@pytest.fixture(scope="module")
def listed() -> list[dict[str, object]]:
    return list_native_functions(Surface(["_json"]), str(Path(_json.__file__).parent))


def test_functions_methods_and_slots_have_their_names_in_python(listed: list[dict[str, object]]):
    path = Path(_json.__file__).name
    (file,) = [file for file in listed if str(file["path"]).endswith(path)]
    functions = file["functions"]
    assert isinstance(functions, list)
    kinds = {name: kind for _, _, name, kind, _ in functions}
    assert kinds["_json.scanstring"] == "function"
    assert kinds["_json.Scanner.__call__"] == "call"
    assert kinds["_json.Scanner.__new__"] == "new"
    assert kinds["_json.Scanner.__dealloc__"] == "free"
    assert [row[0] for row in functions] == sorted(row[0] for row in functions)


def test_the_address_of_a_function_leads_to_its_name(listed: list[dict[str, object]]):
    table = ctypes.c_size_t.from_address(id(_json.scanstring) + object.__basicsize__).value
    address = ctypes.c_size_t.from_address(table + 8).value
    names = NativeNames(listed)
    module = Path(_json.__file__).name
    found = names.find(module, names.locate(module, address))
    assert found is not None
    assert found.name == "_json.scanstring"


def test_types_that_a_code_generator_brings_along_are_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(method_tables, "_RUNTIME_MODULES", ("_json",))
    files = list_native_functions(Surface(["_json"]), str(Path(_json.__file__).parent))
    names = {function[2] for file in files for function in file["functions"]}
    assert "_json.scanstring" in names
    assert "_json.Scanner.__call__" not in names


def test_code_from_elsewhere_is_left_out():
    assert list_native_functions(Surface(["_json"]), "/nowhere") == []
