"""Sdists that need nothing to be built: a build backend of their own (PEP 517, `backend-path`) that calls the compiler.

Hostile code goes into `attack.py`, which the backend imports while it builds, or into the module that is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.hostile.attack import Site
from tests.hostile.sdists import Member, make_sdist, metadata

BACKEND = r"""
import base64, hashlib, os, subprocess, sysconfig, zipfile

NAME = "@NAME@"

def run_attack(wheel_directory):
    if os.path.exists("attack.py"):
        with open("attack.py") as file:
            exec(compile(file.read(), "attack.py", "exec"), {"wheel_directory": wheel_directory, "compile_module": compile_module, "pack": pack, "NAME": NAME})

def compile_module():
    target = f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = [os.environ.get("CC", "gcc"), "-shared", "-fPIC", "-I" + sysconfig.get_path("include")]
    command += os.environ.get("CFLAGS", "-O1").split() + ["module.c", "-o", target] + os.environ.get("LDFLAGS", "").split()
    subprocess.run(command, check=True)
    return target

def pack(wheel_directory, files, filename=None, name=NAME, lines=()):
    abi = "cp314t" if "t-" in sysconfig.get_config_var("EXT_SUFFIX") else "cp314"
    tag = f"cp314-{abi}-linux_x86_64"
    filename = filename or f"{NAME}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    content = dict(files)
    content[f"{info}/METADATA"] = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, ""]).encode()
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: own\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    rows = []
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    content[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return filename

def wheel_files():
    target = compile_module()
    files = {target: open(target, "rb").read()}
    if os.path.isdir("payload"):
        for folder, _, names in os.walk("payload"):
            for name in names:
                path = os.path.join(folder, name)
                files[os.path.relpath(path, "payload")] = open(path, "rb").read()
    return files

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    run_attack(wheel_directory)
    return pack(wheel_directory, wheel_files())
"""

MODULE = r"""
#include <Python.h>
@INCLUDE@
static PyObject *twice(PyObject *self, PyObject *arg) { @TWICE@ }
static PyMethodDef methods[] = {{"twice", twice, METH_O, "twice(x) -> x + x"}, {NULL, NULL, 0, NULL}};
static int start(PyObject *module) { @START@ return 0; }
static PyModuleDef_Slot slots[] = {{Py_mod_exec, start}, @GIL@ {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "@NAME@", .m_methods = methods, .m_slots = slots};
PyMODINIT_FUNC PyInit_@NAME@(void) { return PyModuleDef_Init(&definition); }
"""

NO_GIL = "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"
TWICE = "return PyNumber_Add(arg, arg);"


def module_name(name: str) -> str:
    """Return the module that a package has."""
    return name.replace("-", "_")


def make_module(
    name: str, *, include: str = "", twice: str = TWICE, start: str = "", gil: str = NO_GIL
) -> bytes:
    """Return the source of an extension module; `start` is C that runs when it is imported."""
    text = MODULE.replace("@INCLUDE@", include).replace("@TWICE@", twice)
    text = text.replace("@START@", start).replace("@GIL@", gil)
    return text.replace("@NAME@", module_name(name)).encode()


def run_python(code: str) -> str:
    """Return C that runs Python code, for `start` of `make_module`."""
    lines = "".join(f'"{_quote(line)}\\n"\n' for line in code.splitlines())
    return f"""
    PyObject *names = PyModule_GetDict(module);
    PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins());
    PyObject *result = PyRun_String({lines}, Py_file_input, names, names);
    if (result == NULL) {{ return -1; }}
    Py_DECREF(result);
    """


def _quote(line: str) -> str:
    return line.replace("\\", "\\\\").replace('"', '\\"')


def project_files(
    name: str, attack: str = "", module: bytes = b"", payload: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the files of an sdist that builds: its backend, its module, and what else the wheel brings.

    Args:
        name: of the package.
        attack: Python that runs while the package is built; `stop` in it ends the build with a reason.
        module: the source of its extension module; an honest one where it is left out.
        payload: further files of the wheel.
    """
    own = module_name(name)
    files = {
        "PKG-INFO": metadata(name),
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n'
        ).encode(),
        "backend.py": BACKEND.replace("@NAME@", own).encode(),
        "module.c": module or make_module(name),
    }
    if attack:
        files["attack.py"] = attack.encode()
    for path, content in (payload or {}).items():
        files[f"payload/{path}"] = content
    return files


def place(site: Site, files: Mapping[str, bytes], *extra: Member) -> str:
    """Write the sdist of a package beside the matrix and return the package's table."""
    filename = f"{site.name}-1.0.tar.gz"
    (site.folder / filename).write_bytes(make_sdist(site.name, files, *extra))
    return f'sdist = "{filename}"\ntimeout_s = 120\nmemory = "1g"'
