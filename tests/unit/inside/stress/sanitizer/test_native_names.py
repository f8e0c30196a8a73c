from typing import Any

import pytest

from builder.inside.stress.sanitizer.native_names import (
    NativeNames,
    demangle_cython,
    name_function,
    shorten_cpp,
)

FILE: dict[str, Any] = {
    "path": "/tmp/site/pkg/_core.cpython-314t.so",
    "base": 0x7F00_0000_0000,
    "functions": [
        [0x1000, 0x40, "pkg._core.Table.add", "call", ""],
        [0x1080, 0, "pkg._core.Table.size", "get", "pkg/_core.pyx:7"],
    ],
}


@pytest.mark.parametrize(
    ("symbol", "module", "name", "kind"),
    [
        ("__pyx_pw_4yaml_5_yaml_7CParser_17get_event", "_yaml", "yaml._yaml.CParser.get_event", "call"),
        ("__pyx_pf_4yaml_5_yaml_7CParser___init__", "_yaml", "yaml._yaml.CParser.__init__", "call"),
        ("__pyx_pw_4yaml_5_yaml_3get_version", "_yaml", "yaml._yaml.get_version", "function"),
        ("__pyx_pw_4yaml_5_yaml_7CParser_3get_token", "_yaml", "yaml._yaml.CParser.get_token", "call"),
        ("__pyx_f_4lxml_5etree__setNodeText", "etree", "lxml.etree._setNodeText", "function"),
        (
            "__pyx_pf_9propcache_10_helpers_c_15cached_property_7__reduce_cython__",
            "_helpers_c",
            "propcache._helpers_c.cached_property.__reduce_cython__",
            "call",
        ),
        (
            "__pyx_pw_10frozenlist_11_frozenlist_10FrozenList_23__iadd__(_object*, _object*)",
            "_frozenlist",
            "frozenlist._frozenlist.FrozenList.__iadd__",
            "call",
        ),
        ("__pyx_pw_4yaml_5_yaml_7CParser_5raw.constprop.0", "_yaml", "yaml._yaml.CParser.raw", "call"),
    ],
)  # fmt: skip
def test_names_that_cython_made(symbol: str, module: str, name: str, kind: str):
    function = demangle_cython(symbol, module)
    assert function is not None
    assert (function.name, function.kind) == (name, kind)


@pytest.mark.parametrize(
    "symbol", ["precompute", "__pyx_tp_new_x", "__pyx_pw_", "__pyx_pw_x", "<null>"]
)
def test_other_names_are_not_cythons(symbol: str):
    assert demangle_cython(symbol, "_yaml") is None


@pytest.mark.parametrize(
    ("symbol", "short"),
    [
        ("refs::Owned<_greenlet, &refs::check(void*)>::release(int) const", "refs::Owned::release"),
        ("void kiwi::add<std::vector<int> >(int)", "kiwi::add"),
        ("refs::Owned<_g, &c(void*)>::operator=(_g*)", "refs::Owned::operator="),
        ("a::B<int>::operator<<(int)", "a::B::operator<<"),
        ("operator delete(void*)", "operator delete"),
        ("pool::(anonymous namespace)::grow(int)", "pool::grow"),
        ("bump.part.0", "bump"),
        ("<null>", "<null>"),
    ],
)
def test_names_of_cpp_are_made_short(symbol: str, short: str):
    assert shorten_cpp(symbol) == short


def test_a_function_is_found_by_where_it_is():
    names = NativeNames([FILE])
    module = "_core.cpython-314t.so"
    found = names.find(module, 0x1020)
    assert found is not None
    assert (found.name, found.kind, found.owner) == (
        "pkg._core.Table.add",
        "call",
        "pkg._core.Table",
    )
    assert names.find(module, 0x1040) is None  # behind its end
    assert names.find(module, 0xFFF) is None
    assert names.find("other.so", 0x1020) is None
    assert names.find(module, -1) is None

    # Without a symbol nobody knows how long it is: it goes on to the next one.
    property_found = names.find(module, 0x2000)
    assert property_found is not None
    assert property_found.source == "pkg/_core.pyx:7"
    assert names.locate(module, FILE["base"] + 5) == 5
    assert names.locate("other.so", FILE["base"]) == -1


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"path": "/tmp/x.so", "base": 1, "functions": [["x"]]},
        {"path": "/tmp/x.so", "base": None, "functions": []},
        {"path": "/tmp/_core.cpython-314t.so", "base": 1, "functions": [[1, 1, "x", "evil", ""]]},
        {"path": 7, "base": 1, "functions": []},
    ],
)
def test_what_a_package_wrote_in_place_of_a_table_is_left_out(listed: dict[str, Any]):
    assert NativeNames([listed, FILE]).find("_core.cpython-314t.so", 0x1000) is not None


def test_c_has_no_name_in_python():
    function = name_function("table_add", "_core.so")
    assert (function.name, function.kind, function.owner) == ("table_add", "", "")
