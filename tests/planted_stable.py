"""Wheels of the stable ABIs of CPython 3.15 with one planted fault each, and good ones beside them.

The modules are compiled without CPython's headers, which the farm's images have of 3.14 alone: they declare what they
use of PyABIInfo and PySlot themselves. Layouts and numbers are those of Include/modsupport.h, slots.h and
slots_generated.h of 3.15 (PEP 793, PEP 820).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.planted_wheels import (
    FREE,
    LINKED,
    MACHINE,
    PLATFORM,
    Planted,
    members,
    name_of,
    pack,
)

STABLE, WITH_GIL, FREE_THREADED = 1, 2, 4
"""Flags of PyABIInfo."""

SOURCE = r"""
#include <stdint.h>
typedef struct object Object;
extern Object *PyLong_FromVoidPtr(void *), *PyModuleDef_Init(void *);
EXTRA
static Object *work(Object *module, Object *argument) { BODY return PyLong_FromVoidPtr(argument); }
static struct { const char *name; Object *(*call)(Object *, Object *); int flags; const char *doc; } methods[] = {
  {"work", work, 8}, {0}};
struct slot { uint16_t id, flags; uint32_t reserved; const void *value; };
HOOKS
"""
EXPORT = r"""
static struct { uint8_t major, minor; uint16_t flags; uint32_t build, version; } abi = {
  1, 0, FLAGS, 0x030f00f0, ABI};
static struct slot slots[] = {
  {109, 2, 0, &abi}, {100, 2, 0, "_native"}, {103, 2, 0, methods}, {87, 4, 0, (void *)1}, {0}};
struct slot *PyModExport_NAME(void) { return slots; }
"""
"""Slots: Py_mod_abi, Py_mod_name, Py_mod_methods, Py_mod_gil."""

INIT = r"""
static struct { uint64_t head[2]; void *empty[3]; const char *name, *doc; int64_t size; void *rest[5]; } definition = {
  {0x00050000c0000000, 0}, {0}, "_native", 0, 0, {methods}};
Object *PyInit__native(void) { return PyModuleDef_Init(&definition); }
"""
"""A static PyModuleDef as CPython with the GIL has it."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """One extension module `_native`.

    Attributes:
        flags: what it says of itself, as PyABIInfo has it.
        version: the stable ABI that it says it needs.
        name: of its export hook; empty for none.
        init: whether it has a `PyInit` function.
    """

    flags: int = STABLE | WITH_GIL | FREE_THREADED
    version: int = 0x030F0000
    name: str = "_native"
    init: bool = False
    extra: str = ""
    body: str = ""

    @property
    def source(self) -> str:
        """Its source in C."""
        export = EXPORT.replace("FLAGS", str(self.flags)).replace("ABI", hex(self.version))
        hooks = export.replace("NAME", self.name) if self.name else ""
        hooks += INIT if self.init else ""
        text = SOURCE.replace("EXTRA", self.extra).replace("BODY", self.body)
        return text.replace("HOOKS", hooks)


MODULES = {
    "hook": Module(),
    "hook-gil": Module(flags=STABLE | WITH_GIL),
    "hook-release": Module(flags=WITH_GIL),
    "hook-release-t": Module(flags=FREE_THREADED),
    "hook-one-release": Module(flags=WITH_GIL | FREE_THREADED),
    "hook-3.16": Module(version=0x03100000),
    "hook-of-other": Module(name="other"),
    "init": Module(name="", init=True),
    # As cffi makes them: another module makes the object.
    "init-of-cffi": Module(
        name="",
        extra="""extern Object *PyImport_ImportModule(const char *);
Object *PyInit__native(void) { return PyImport_ImportModule("_planted_backend"); }""",
    ),
    "init-and-hook": Module(flags=STABLE | WITH_GIL, init=True),
    "not-stable": Module(
        extra="extern void *PyFunction_GetCode(Object *);", body="PyFunction_GetCode(argument);"
    ),
    "newer": Module(
        extra="extern long Py_HashBuffer(void *, long);", body="Py_HashBuffer(argument, 0);"
    ),
    "counts": Module(
        extra="extern void _Py_Dealloc(Object *);",
        body="if (!--*(uint32_t *)argument) _Py_Dealloc(argument);",
    ),
    "static": Module(extra="uint64_t planted_object[4] = {0x00050000c0000000, 0, 1, 2};"),
    "static-t": Module(
        extra="uint64_t planted_object[5] = {0, 0xffffffff00000004, 0, 0, 2};"
    ),
}  # fmt: skip


def compile_here(folder: Path) -> dict[str, bytes]:
    """Compile every module with this machine's compiler; return them by name."""
    objects: dict[str, bytes] = {}
    for name, module in MODULES.items():
        source, compiled = folder / f"{name}.c", folder / f"{name}.so"
        source.write_text(module.source)
        subprocess.run(["cc", "-O1", *LINKED.split(), source, "-o", compiled], check=True)
        objects[name] = compiled.read_bytes()

    return objects


def _name(tag: str) -> str:
    """Return the path of the module in a wheel, by the tag in its suffix."""
    return f"planted/_native.{tag}.so"


ABI3, ABI3_MACHINE = _name("abi3"), _name(f"abi3-{MACHINE}")
ABI3T, ABI3T_MACHINE = _name("abi3t"), _name(f"abi3t-{MACHINE}")
RELEASE, RELEASE_T = _name(f"cpython-315-{MACHINE}"), _name(f"cpython-315t-{MACHINE}")


def _wheel(objects: Mapping[str, bytes], fault: str, code: str, tag: str, *files: str) -> Planted:
    """Return a wheel.

    Args:
        objects: the modules by name.
        fault: what is wrong with it, in a few words.
        code: what wheelfarm has to call it; empty for a good one.
        tag: interpreter and ABI of its tag: `cp315-abi3.abi3t`.
        files: names of modules and of the files that they are, by turns.
    """
    python, _, abi = tag.partition("-")
    tags = tuple(f"{python}-{one}-{PLATFORM}" for one in abi.split("."))
    content = members(objects[files[0]], files[1], tags)
    for name, path in zip(files[2::2], files[3::2], strict=True):
        content[path] = objects[name]

    return Planted(
        fault=fault, code=code, filename=name_of(abi, python=python), content=pack(content)
    )


GOOD = (
    ("cp315-abi3.abi3t", "hook", ABI3T),
    ("cp315-abi3.abi3t", "hook", ABI3T_MACHINE),
    ("cp315-abi3.abi3t", "hook", "planted/_native.so"),
    ("cp315-abi3.abi3t", "hook-gil", ABI3, "hook", ABI3T),
    ("cp315-abi3t", "hook", ABI3T),
    ("cp315-abi3t", "hook", ABI3T_MACHINE),
    ("cp315-abi3.abi3t", "init-of-cffi", ABI3T_MACHINE),
    ("cp315-abi3", "hook-gil", ABI3),
    ("cp315-abi3", "hook-gil", ABI3_MACHINE),
    ("cp315-abi3", "hook", ABI3T),
    ("cp315-abi3", "counts", ABI3),
    ("cp39-abi3", "init", ABI3),
    ("cp39-abi3", "init-and-hook", ABI3),
    ("cp315-cp315", "hook-release", RELEASE),
    ("cp315-cp315t", "hook-release-t", RELEASE_T),
    ("cp315-cp315t", "hook", ABI3T_MACHINE),
    ("cp316-abi3.abi3t", "hook-3.16", ABI3T),
    ("cp316-abi3.abi3t", "newer", ABI3T),
)
"""Tag, and modules with the files that they are, of wheels without fault."""

FAULTS = (
    ("free-threaded build in both tags, stable", "WF339", "cp315t-abi3t", "hook", ABI3T),
    ("free-threaded build in both tags", "WF339", "cp315t-cp315t", "hook-release-t", RELEASE_T),
    ("stable ABI of no release", "WF339", "py3-abi3", "init", ABI3),
    ("abi3 file under abi3t", "WF301", "cp315-abi3t", "hook", ABI3),
    ("abi3 file with machine under abi3t", "WF301", "cp315-abi3t", "hook", ABI3_MACHINE),
    ("file of one release under abi3t", "WF301", "cp315-abi3t", "hook", _name(FREE)),
    ("abi3 file in cp315t", "WF301", "cp315-cp315t", "hook", ABI3),
    ("machine in the suffix before 3.15", "WF340", "cp39-abi3", "init", ABI3_MACHINE),
    ("abi3t file before 3.15", "WF340", "cp314-abi3", "init-and-hook", ABI3T),
    ("module definition alone under abi3t", "WF332", "cp315-abi3t", "init", ABI3T),
    ("module definition alone under both", "WF332", "cp315-abi3.abi3t", "init", ABI3T),
    ("export hook of another module", "WF332", "cp315-abi3t", "hook-of-other", ABI3T),
    ("export hook alone before 3.15", "WF332", "cp314-abi3", "hook-gil", ABI3),
    ("outside abi3t", "WF320", "cp315-abi3t", "not-stable", ABI3T),
    ("newer than the tag of abi3t", "WF320", "cp315-abi3.abi3t", "newer", ABI3T),
    ("says that it needs 3.16", "WF320", "cp315-abi3.abi3t", "hook-3.16", ABI3T),
    ("says that it is for one release", "WF320", "cp315-abi3t", "hook-one-release", ABI3T),
    ("counts references itself", "WF341", "cp315-abi3.abi3t", "counts", ABI3T),
    ("static object with the GIL", "WF341", "cp315-abi3.abi3t", "static", ABI3T),
    ("static object without the GIL", "WF341", "cp315-abi3t", "static-t", ABI3T),
    ("static module definition", "WF341", "cp315-abi3.abi3t", "init-and-hook", ABI3T),
    ("abi3 file under both", "WF342", "cp315-abi3.abi3t", "hook", ABI3),
    ("says that it needs the GIL under both", "WF342", "cp315-abi3.abi3t", "hook-gil", ABI3T),
    ("says that it needs the GIL", "WF304", "cp315-abi3t", "hook-gil", ABI3T),
    ("says that it needs the GIL, cp315t", "WF304", "cp315-cp315t", "hook-release", RELEASE_T),
    ("says that it does without, cp315", "WF304", "cp315-cp315", "hook-release-t", RELEASE),
    ("both stable ABIs before 3.15", "WF321", "cp314-abi3.abi3t", "init-and-hook", ABI3T),
)
"""Fault, code, tag, and modules with the files that they are."""


def good(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    """Give wheels without any fault."""
    for number, (tag, *files) in enumerate(GOOD, start=1):
        yield _wheel(objects, f"none, stable ABI {number}", "", tag, *files)


def planted(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    """Give every wheel with a fault."""
    for fault, code, tag, *files in FAULTS:
        yield _wheel(objects, fault, code, tag, *files)
