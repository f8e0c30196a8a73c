"""Kinds of trouble that real packages make: a tiny package for each, and the right outcome."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import DEBIAN, Workshop

MATRIX = (
    DEBIAN
    + """
[packages.unbound]
sdist = "unbound-1.0.tar.gz"
[packages.ctyped]
sdist = "ctyped-1.0.tar.gz"
[packages.nativecpu]
sdist = "nativecpu-1.0.tar.gz"
[packages.oldtools]
sdist = "oldtools-1.0.tar.gz"
[packages.oldconstrained]
sdist = "oldconstrained-1.0.tar.gz"
build-constraints = ["setuptools<82"]
[packages.grafted]
sdist = "grafted-1.0.tar.gz"
apt = ["unixodbc-dev"]
[packages.excluded]
sdist = "excluded-1.0.tar.gz"
apt = ["unixodbc-dev"]
exclude = ["libodbc.so.*"]
apt-run = ["libodbc2"]
[packages.flat]
sdist = "flat-1.0.tar.gz"
[packages.hashed]
sdist = "hashed-1.0.tar.gz"
[packages.rusted]
sdist = "rusted-1.0.tar.gz"
[packages.talkative]
sdist = "talkative-1.0.tar.gz"
[packages.early]
sdist = "early-1.0.tar.gz"
[packages.late]
sdist = "late-1.0.tar.gz"
import-after = ["early"]
[packages.latealone]
sdist = "latealone-1.0.tar.gz"
[packages.aftermath]
sdist = "aftermath-1.0.tar.gz"
import-after = ["early"]
[packages.unsaid]
sdist = "unsaid-1.0.tar.gz"
[packages.mended]
sdist = "mended-1.0.tar.gz"
import-after = ["early"]
[applications.sequence]
lock = "sequence.txt"
bases = ["debian-12"]
"""
)

MODULE = """\
#include <Python.h>
%(more)s
static PyModuleDef_Slot slots[] = {%(slots)s{0, 0}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "%(name)s", 0, 0, %(methods)s, slots, 0, 0, 0};
PyMODINIT_FUNC PyInit_%(name)s(void) { return PyModuleDef_Init(&module); }
"""
NO_GIL = "{Py_mod_gil, Py_MOD_GIL_NOT_USED}, "
ODBC = """\
#include <sql.h>
static PyObject *allocate(PyObject *self, PyObject *args) {
    SQLHENV env;
    return PyLong_FromLong(SQLAllocHandle(SQL_HANDLE_ENV, SQL_NULL_HANDLE, &env));
}
static PyMethodDef methods[] = {{"allocate", allocate, METH_NOARGS, 0}, {0, 0, 0, 0}};
"""


def module(name: str, more: str = "", methods: str = "0", slots: str = NO_GIL) -> str:
    """Return the source of an extension module."""
    return MODULE % {"name": name, "more": more, "methods": methods, "slots": slots}


def setup(extension: str, more: str = "", before: str = "") -> str:
    """Return a setup.py with one extension module; `{}` in `more` are arguments of `setup`."""
    return (
        f"{before}\nimport sysconfig\nfrom setuptools import Extension, setup\n"
        f"setup(ext_modules=[Extension({extension})]{more})\n"
    )


ABI3 = 'options={} if sysconfig.get_config_var("Py_GIL_DISABLED") else {"bdist_wheel": {"py_limited_api": "cp39"}}'
TALK = "import sys\nfor _ in range(400):\n    sys.stderr.write('warning: of no importance, by a compiler\\n' * 1500)\n"

LATE = (
    "import sys\nif 'early' not in sys.modules:\n"
    "    raise ImportError('the early package should be imported before {0}')\nfrom {0} import _core\n"
)


def make_late(name: str, start: str = LATE) -> dict[str, str]:
    """Return a package that can be imported after another one only, or beside it, as its first lines say."""
    return {
        "setup.py": setup(f'"{name}._core", ["m.c"]', f', packages=["{name}"]'),
        "m.c": module("_core"),
        f"{name}/__init__.py": start.format(name),
    }


PACKAGES: dict[str, dict[str, str]] = {
    # Nothing of the C library is used, so the linker leaves it out: auditwheel cannot tell which it is.
    "unbound": {
        "setup.py": setup(
            '"unbound", ["m.c"], py_limited_api=not sysconfig.get_config_var("Py_GIL_DISABLED"),'
            ' extra_link_args=["-Wl,--as-needed"]',
            f", {ABI3}",
        ),
        "m.c": module("unbound"),
    },
    "ctyped": {
        "setup.py": setup('"ctyped._lib", ["lib.c"]', ', packages=["ctyped"]'),
        "lib.c": "int answer(void) { return 42; }\n",
        "ctyped/__init__.py": (
            "import ctypes, pathlib\n"
            "_path = next(pathlib.Path(__file__).parent.glob('_lib*.so'))\n"
            "answer = ctypes.CDLL(str(_path)).answer\nassert answer() == 42\n"
        ),
    },
    "nativecpu": {
        "setup.py": setup('"nativecpu", ["m.c"], extra_compile_args=["-march=native"]'),
        "m.c": module("nativecpu"),
    },
    "oldtools": {
        "setup.py": setup('"oldtools", ["m.c"]', before="import pkg_resources"),
        "m.c": module("oldtools"),
    },
    "oldconstrained": {
        "setup.py": setup('"oldconstrained", ["m.c"]', before="import pkg_resources"),
        "m.c": module("oldconstrained"),
    },
    "grafted": {
        "setup.py": setup('"grafted", ["m.c"], libraries=["odbc"]'),
        "m.c": module("grafted", ODBC, "methods"),
    },
    "excluded": {
        "setup.py": setup('"excluded", ["m.c"], libraries=["odbc"]'),
        "m.c": module("excluded", ODBC, "methods"),
    },
    "flat": {"setup.py": setup('"flat", ["m.c"]'), "m.c": module("flat")},
    # What mypyc calls the module that the others share begins with the digits of a hash.
    "hashed": {
        "setup.py": setup('"81d243bd2c__mypyc", ["m.c"]', ', py_modules=["hashed"]'),
        "m.c": module("81d243bd2c__mypyc", slots=""),
        "hashed.py": "import importlib\nimportlib.import_module('81d243bd2c__mypyc')\n",
    },
    # A library in Rust without any crate: the toolchain comes with the base, and nothing is downloaded.
    "rusted": {
        "pyproject.toml": (
            '[build-system]\nrequires = ["setuptools>=77", "setuptools-rust"]\nbuild-backend = "setuptools.build_meta"\n'
            '[project]\nname = "rusted"\nversion = "1.0"\n'
        ),
        "setup.py": (
            "from setuptools import setup\nfrom setuptools_rust import Binding, RustExtension\n"
            'setup(packages=["rusted"], rust_extensions=[RustExtension("rusted._lib", binding=Binding.NoBinding)])\n'
        ),
        "Cargo.toml": (
            '[package]\nname = "rusted"\nversion = "1.0.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib"]\n'
        ),
        "src/lib.rs": '#[no_mangle]\npub extern "C" fn answer() -> i32 { 42 }\n',
        "rusted/__init__.py": (
            "import ctypes, pathlib\n"
            "_path = next(pathlib.Path(__file__).parent.glob('_lib*.so'))\n"
            "answer = ctypes.CDLL(str(_path)).answer\nassert answer() == 42\n"
        ),
    },
    "early": {"setup.py": setup('"early", ["m.c"]'), "m.c": module("early")},
    "late": make_late("late"),
    "latealone": make_late("latealone"),
    "aftermath": make_late("aftermath"),
    "unsaid": make_late("unsaid", "import early\n"),
    "mended": make_late("mended", "import early\n"),
    "talkative": {
        "setup.py": setup('"talkative", ["m.c"]', before=TALK),
        "m.c": module("talkative"),
    },
}


def write_sdist(name: str, files: Mapping[str, str], folder: Path) -> None:
    root = "" if name == "flat" else f"{name}-1.0/"
    content = {
        "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": (
            '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n'
        ),
        **files,
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, text in content.items():
            info = tarfile.TarInfo(root + path)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture(scope="module")
def done(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("kinds"))
    shop.write(MATRIX)
    for name, files in PACKAGES.items():
        write_sdist(name, files, shop.root)
    (shop.root / "sequence.txt").write_text("aftermath==1.0\nearly==1.0\n")
    ended = shop.run()
    assert (shop.wheelhouse / "verdicts.json").exists(), ended.stdout + ended.stderr
    return shop


def codes(abi: Mapping[str, Any]) -> set[str]:
    return {finding["code"] for finding in abi["findings"]}


@pytest.mark.parametrize(
    ("name", "cp314", "cp314t", "told"),
    [
        ("unbound", "compatible", "unproven", set()),
        ("ctyped", "compatible", "unproven", set()),
        ("nativecpu", "abi-mismatch", "abi-mismatch", {"WF219"}),
        ("oldtools", "build-failure", "build-failure", {"WF201"}),
        ("oldconstrained", "compatible", "unproven", set()),
        ("grafted", "compatible", "unproven", {"WF335"}),
        ("excluded", "compatible", "unproven", {"WF336"}),
        ("flat", "compatible", "unproven", set()),
        ("hashed", "compatible", "gil-required", set()),
        ("rusted", "compatible", "unproven", set()),
        ("talkative", "compatible", "unproven", set()),
        ("early", "compatible", "unproven", set()),
        ("late", "compatible", "unproven", set()),
        ("latealone", "import-failure", "import-failure", {"WF402"}),
        ("aftermath", "compatible", "unproven", set()),
        ("unsaid", "import-failure", "import-failure", {"WF402"}),
        ("mended", "compatible", "unproven", set()),
    ],
)
def test_each_kind_has_the_right_outcome(
    done: Workshop, name: str, cp314: str, cp314t: str, told: set[str]
):
    abis = done.verdicts()[name]["abis"]
    reasons = {abi: outcome["reason"] for abi, outcome in abis.items()}
    verdicts = (abis["cp314"]["verdict"], abis["cp314t"]["verdict"])
    assert verdicts == (cp314, cp314t), reasons
    assert told <= codes(abis["cp314"])
    assert not ({"WF402", "WF315"} - told) & codes(abis["cp314"])


def test_what_setuptools_lost_has_a_remedy_that_works(done: Workshop):
    (finding, *_) = done.verdicts()["oldtools"]["abis"]["cp314"]["findings"]
    assert 'build-constraints = ["setuptools<82"]' in finding["remedy"]


def test_a_package_that_asks_for_another_one_first_is_told_the_key(done: Workshop):
    (finding, *_) = done.verdicts()["latealone"]["abis"]["cp314"]["findings"]
    assert 'import-after = ["early"]' in finding["remedy"]
    late = done.verdicts()["late"]["abis"]["cp314"]
    assert late["reason"].endswith("after early")


def test_an_application_imports_first_what_has_to_be_imported_first(done: Workshop):
    """By name, `aftermath` would be imported before `early`."""
    document = json.loads((done.wheelhouse / "verdicts.json").read_text())
    parts = {part["abi"]: part for part in document["applications"]}
    assert parts["cp314"]["verdict"] == "ready", parts["cp314"]
    assert parts["cp314t"]["verdict"] == "ready with risks", parts["cp314t"]


def test_a_package_that_does_not_say_what_it_imports_is_told_the_key_that_mends_it(done: Workshop):
    (finding, *_) = done.verdicts()["unsaid"]["abis"]["cp314"]["findings"]
    assert 'import-after = ["early"]` in [packages.unsaid]: early brings early' in finding["remedy"]


def test_the_log_of_a_build_that_prints_more_than_fits_is_cut(done: Workshop):
    logs = (done.wheelhouse / "logs").rglob("*talkative*.log")
    log = max(logs, key=lambda path: path.stat().st_size)
    text = log.read_text(errors="replace")
    assert "bytes of the log are left out here: it is too long" in text
    assert "wheelfarm-limits" in text[-5000:]
