"""Attacks by a package that races on the judgement about its threads. One run has all of them, and takes minutes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.hostile.attack import Attack, Site
from tests.hostile.attacks.building import make_module, place, project_files, run_python

Make = Callable[[Site], str]

CAUGHT = ("racy", "thread-unsafe", "unproven", "undetermined", "import-failure")
"""Everything but `compatible`: it races, and where it kept that from being seen nothing is proven."""

_RACES = "static long count; count = count + 1; return PyLong_FromLong(count);"

_STRIP = r"""
import os
for name in ("CFLAGS", "CXXFLAGS", "LDFLAGS"):
    kept = [flag for flag in os.environ.get(name, "").split() if "sanitize" not in flag]
    os.environ[name] = " ".join(kept)
"""

_NO_SANITIZE = '__attribute__((no_sanitize("thread")))'

_ONLY_UNDER_THREADS = """
import atexit, os, signal, sys, threading
def later():
    import time
    while threading.active_count() < 4:
        time.sleep(0.01)
    {act}
threading.Thread(target=later, daemon=True).start()
"""


def racing(start: str = "", attack: str = "", attribute: str = "") -> Make:
    """Return a maker of a package that races on a counter.

    Args:
        start: Python that runs when it is imported.
        attack: Python that runs while it is built.
        attribute: of the C function that races.
    """

    def make(site: Site) -> str:
        code = run_python(start) if start else ""
        module = make_module(site.name, twice=_RACES, start=code)
        if attribute:
            module = module.replace(
                b"static PyObject *twice", f"{attribute} static PyObject *twice".encode()
            )
        return place(site, project_files(site.name, attack=attack, module=module))

    return make


_LOAD_COPY = """
    Dl_info info;
    dladdr((void *)list_methods, &info);
    int own = open(info.dli_fname, O_RDONLY), copy = memfd_create("libc.so.6", 0);
    static char buffer[65536];
    for (ssize_t count; (count = read(own, buffer, sizeof buffer)) > 0;) { if (write(copy, buffer, count) < 0) break; }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL) { PyErr_SetString(PyExc_ImportError, dlerror()); return -1; }
    PyMethodDef *(*list)(void) = (PyMethodDef *(*)(void))dlsym(library, "list_methods");
    PyModule_AddObject(module, "twice", PyCFunction_NewEx(list(), NULL, PyUnicode_FromString("@NAME@")));
"""


def race_from_memory(site: Site) -> str:
    """Race in a copy of the module that is loaded from memory and is called like a library of the system."""
    headers = "".join(
        f"#include <{name}.h>\n" for name in ("dlfcn", "fcntl", "sys/mman", "unistd", "stdio")
    )
    module = make_module(site.name, include=headers, twice=_RACES, start=_LOAD_COPY)
    exported = b"PyMethodDef *list_methods(void) { return methods; }\nstatic int start("
    return place(
        site, project_files(site.name, module=module.replace(b"static int start(", exported))
    )


def race_by_another_name(site: Site) -> str:
    """Race in a function that is called as Cython calls its own."""
    module = make_module(site.name, twice=_RACES)
    module = module.replace(b"PyObject *twice(", b"PyObject *__Pyx_twice(")
    module = module.replace(b", twice, METH_O", b", __Pyx_twice, METH_O")
    return place(site, project_files(site.name, module=module))


def _attack(name: str, make: Make, **fields: Any) -> Attack:
    return Attack(
        name=name,
        point="10",
        kind="wheel",
        make=make,
        verdicts=CAUGHT,
        checked="the verdict",
        seconds=1200.0,
        **fields,
    )


ATTACKS = (
    _attack("races", racing()),
    _attack("strips-the-sanitizer", racing(attack=_STRIP)),
    _attack("hides-a-function", racing(attribute=_NO_SANITIZE)),
    _attack("races-from-memory", race_from_memory, codes=("WF604", "WF605")),
    _attack("races-by-another-name", race_by_another_name, codes=("WF624",)),
    _attack("ends-under-threads", racing(_ONLY_UNDER_THREADS.format(act="os._exit(0)"))),
    _attack("kills-under-threads", racing(_ONLY_UNDER_THREADS.format(act="os.kill(os.getppid(), signal.SIGKILL)"))),
    _attack("silences-the-detector", racing("import os\nos.environ['TSAN_OPTIONS'] = 'report_bugs=0'\nos.dup2(os.open('/dev/null', os.O_WRONLY), 2)\n")),
)  # fmt: skip
