"""Wheels with one planted fault each, made by really compiling or editing one good wheel; and what each fault is called.

Used by tests/integration/test_planted_faults.py and benchmarks/audit.py.
"""

from __future__ import annotations

import io
import stat
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.engine.tasks import Limits, Task
from tests import planted_stable
from tests.planted_wheels import (
    DIST_INFO,
    FREE,
    GIL,
    LINKED,
    NAME,
    PLATFORM,
    SO,
    SO_T,
    Members,
    Planted,
    members,
    name_of,
    pack,
    record,
)

if TYPE_CHECKING:
    from builder.engine.client import Engine

__all__ = [
    "DIST_INFO", "FREE", "GIL", "NAME", "PLATFORM", "SO", "SO_T", "Planted", "compile_all", "good", "members", "name_of",
    "pack", "planted", "record",
]  # fmt: skip

SOURCE = r"""
#include <Python.h>
EXTRA
static PyObject *work(PyObject *module, PyObject *argument) { BODY }
static PyMethodDef methods[] = {{"work", work, METH_O, NULL}, {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {SLOTS {0, NULL}};
static struct PyModuleDef definition = {
  PyModuleDef_HEAD_INIT, "_native", NULL, 0, methods, slots, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
"""
GIL_SLOT = "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"
COUNTS = "PyObject *pair = PyTuple_Pack(2, argument, argument); Py_XDECREF(pair); Py_RETURN_NONE;"
PLAIN = "return PyLong_FromVoidPtr(argument);"


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """How one shared object is compiled.

    Attributes:
        flags: for compiler and linker.
        stub: soname of an empty library that it is linked with.
    """

    extra: str = ""
    body: str = COUNTS
    slots: str = GIL_SLOT
    flags: str = ""
    abi: str = "cp314"
    compiler: str = "gcc -x c"
    stub: str = ""


OBJECTS = {
    "good": Compiled(),
    "good-t": Compiled(abi="cp314t"),
    "no-slot-t": Compiled(slots="", abi="cp314t"),
    "plain": Compiled(body=PLAIN),
    "plain-t": Compiled(body=PLAIN, abi="cp314t"),
    "glibc": Compiled(extra="#include <stdlib.h>", body="return PyLong_FromLong((long)arc4random());"),
    "cxx": Compiled(
        extra="#include <condition_variable>\n#include <mutex>\nstd::mutex m; std::condition_variable c;",
        body="std::unique_lock<std::mutex> lock(m); c.wait(lock); return NULL;",
        compiler="g++ -x c++ -std=c++20",
           ),
    "relr": Compiled(flags="-Wl,-z,pack-relative-relocs"),
    "outside": Compiled(stub="libplantedsystem.so.7"),
    "desktop": Compiled(stub="libGL.so.1"),
    "unreached": Compiled(stub="libplantedhelper.so.1"),
    "grafted": Compiled(stub="libplantedhelper.so.1", flags="-Wl,-rpath,'$ORIGIN/../planted.libs' -Wl,--enable-new-dtags"),
    "libpython": Compiled(stub="libpython3.14.so.1.0"),
    "removed": Compiled(
        extra="extern Py_UNICODE *PyUnicode_AsUnicode(PyObject *);", body="return (PyObject *)PyUnicode_AsUnicode(argument);"
    ),
    "gone": Compiled(extra="extern void *planted_gone(void *);", body="return planted_gone(argument);"),
    "private": Compiled(
        extra="extern PyObject *_PyType_Lookup(PyTypeObject *, PyObject *);",
        body="return Py_XNewRef(_PyType_Lookup(Py_TYPE(argument), argument));",
    ),
    "stable": Compiled(extra="", slots="", flags="-DPy_LIMITED_API=0x03090000", body="return PyLong_FromVoidPtr(argument);"),
    "stable-newer": Compiled(
        slots="",
        flags="-DPy_LIMITED_API=0x030a0000",
        body="Py_ssize_t size; return PyLong_FromVoidPtr((void *)PyUnicode_AsUTF8AndSize(argument, &size));",
    ),
    "stable-never": Compiled(
        slots="", body="return PyLong_FromVoidPtr((void *)PyFunction_GetCode(argument));"
    ),
    "isa": Compiled(flags="-Wl,-z,x86-64-v3"),
    "stack": Compiled(flags="-Wl,-z,execstack"),
    "text": Compiled(extra='__asm__(".text\\n.balign 8\\nplanted_at: .quad work\\n");', flags="-Wl,-z,notext"),
    "rpath": Compiled(flags="-Wl,-rpath,/opt/planted/lib"),
    "escape": Compiled(flags="-Wl,-rpath,'$ORIGIN/../../../../lib'"),
    "relro": Compiled(flags="-Wl,-z,norelro"),
    "paths": Compiled(extra='const char *planted_at = "/home/mallory/planted/secret.c";'),
}  # fmt: skip


SBOM = b"""{"bomFormat": "CycloneDX", "components": [
  {"name": "planted", "version": "1.0", "purl": "pkg:pypi/planted@1.0", "bom-ref": "1"},
  {"name": "plantedhelper", "version": "2.1-3", "purl": "pkg:deb/debian/plantedhelper@2.1-3", "bom-ref": "2"}]}"""


def _script() -> str:
    lines = ["set -e", "cd /tmp", "mkdir -p /result stubs"]
    for stub in sorted({one.stub for one in OBJECTS.values() if one.stub}):
        lines.append(
            f"echo 'int planted_help(void) {{ return 1; }}' | gcc -x c - -shared -fPIC -s -Wl,-z,relro -Wl,-soname,{stub} -o stubs/{stub}"
        )
        lines.append(f"cp stubs/{stub} /result/")
    for name, one in OBJECTS.items():
        suffix = "t" if one.abi.endswith("t") else ""
        include = f"/opt/python/cp314-{one.abi}/include/python3.14{suffix}"
        stub = f"-Wl,--no-as-needed stubs/{one.stub}" if one.stub else ""
        lines.append(
            f"{one.compiler} /farm/{name}.c -x none -w -O1 {LINKED} -I{include} {one.flags} {stub} -o /result/{name}.so"
        )
    lines += [
        f"gcc -O1 {LINKED} /farm/{name}.c -o /result/{name}.so" for name in planted_stable.MODULES
    ]
    return "\n".join(lines) + "\n"


def compile_all(engine: Engine, image: str, log: Path) -> dict[str, bytes]:
    """Compile every object and stub in a builder image; return them by name, `.so` left out."""
    stable_sources = {
        f"/farm/{name}.c": module.source.encode() for name, module in planted_stable.MODULES.items()
    }
    sources = {
        f"/farm/{name}.c": SOURCE.replace("EXTRA", one.extra)
        .replace("BODY", one.body)
        .replace("SLOTS", one.slots)
        .encode()
        for name, one in OBJECTS.items()
    }
    task = Task(
        image=image, command=["sh", "/farm/make.sh"], files={**sources, **stable_sources, "/farm/make.sh": _script().encode()},
        collect="/result", user="root", limits=Limits(timeout_s=300),
    )  # fmt: skip
    ended = engine.run(task, log=log, stop=threading.Event())
    assert ended.exit_code == 0, log.read_text()
    return {
        name.removeprefix("result/").removesuffix(".so"): content
        for name, content in ended.output.items()
    }


# --- wheels -----------------------------------------------------------------------------------------------------------


def good(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    """Give wheels without any fault."""
    yield Planted(fault="none", code="", filename=name_of(), content=pack(members(objects["good"])))
    tagged = members(objects["good-t"], SO_T, (f"cp314-cp314t-{PLATFORM}",))
    yield Planted(
        fault="none, without GIL", code="", filename=name_of("cp314t"), content=pack(tagged)
    )
    plain = members(objects["plain-t"], SO_T, (f"cp314-cp314t-{PLATFORM}",))
    yield Planted(
        fault="none, no reference counts", code="", filename=name_of("cp314t"), content=pack(plain)
    )
    stable = members(objects["stable"], "planted/_native.abi3.so", (f"cp39-abi3-{PLATFORM}",))
    yield Planted(
        fault="none, stable ABI",
        code="",
        filename=name_of("abi3", python="cp39"),
        content=pack(stable),
    )
    yield from planted_stable.good(objects)


def planted(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    """Give every wheel with a fault."""
    yield from _compiled(objects)
    yield from _tagged(objects)
    yield from planted_stable.planted(objects)
    yield from _edited(members(objects["good"]))
    yield from _broken(pack(members(objects["good"])), members(objects["good"]))


def _compiled(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    for fault, code, name in (
        ("newer glibc", "WF302", "glibc"), ("newer libstdc++", "WF302", "cxx"), ("packed relocations", "WF302", "relr"),
        ("library of the system", "WF315", "outside"), ("library missing on slim bases", "WF316", "desktop"),
        ("needs libpython", "WF322", "libpython"), ("removed C API", "WF318", "removed"), ("symbol nobody has", "WF318", "gone"),
        ("private C API", "WF319", "private"), ("x86-64-v3", "WF323", "isa"), ("executable stack", "WF324", "stack"),
        ("text relocations", "WF325", "text"), ("absolute RPATH", "WF326", "rpath"), ("RPATH that leads out", "WF326", "escape"),
        ("no RELRO", "WF327", "relro"), ("build machine's folders", "WF328", "paths"),
    ):  # fmt: skip
        yield Planted(
            fault=fault, code=code, filename=name_of(), content=pack(members(objects[name]))
        )
    helper = objects["libplantedhelper.so.1"]
    unreached = {
        **members(objects["unreached"]),
        "planted.libs/libplantedhelper.so.1": helper,
        f"{DIST_INFO}/sboms/auditwheel.cdx.json": SBOM,
    }
    yield Planted(
        fault="library not reached", code="WF317", filename=name_of(), content=pack(unreached)
    )
    grafted = {**members(objects["grafted"]), "planted.libs/libplantedhelper.so.1": helper}
    yield Planted(
        fault="grafted without SBOM", code="WF329", filename=name_of(), content=pack(grafted)
    )
    more = {
        **grafted,
        "planted.libs/libplantedsystem-0badcafe.so.7": objects["libplantedsystem.so.7"],
        f"{DIST_INFO}/sboms/auditwheel.cdx.json": SBOM,
    }
    yield Planted(
        fault="SBOM leaves a library out", code="WF329", filename=name_of(), content=pack(more)
    )
    renamed = members(objects["good"], f"planted/_other.{GIL}.so")
    yield Planted(fault="no init function", code="WF332", filename=name_of(), content=pack(renamed))


def _tagged(objects: Mapping[str, bytes]) -> Iterator[Planted]:
    free, stable = (f"cp314-cp314t-{PLATFORM}",), (f"cp39-abi3-{PLATFORM}",)

    def one(fault: str, code: str, filename: str, content: Members) -> Planted:
        return Planted(fault=fault, code=code, filename=filename, content=pack(content))

    yield one(
        "GIL code in cp314t", "WF304", name_of("cp314t"), members(objects["good"], SO_T, free)
    )
    yield one(
        "GIL layout in cp314t", "WF304", name_of("cp314t"), members(objects["plain"], SO_T, free)
    )
    yield one("free-threaded code in cp314", "WF304", name_of(), members(objects["good-t"]))
    yield one("free-threaded layout in cp314", "WF304", name_of(), members(objects["plain-t"]))
    other = "planted/_native.cpython-313-x86_64-linux-gnu.so"
    yield one("suffix of 3.13", "WF301", name_of(), members(objects["good"], other))
    yield one(
        "abi3 file in cp314t",
        "WF321",
        name_of("cp314t"),
        members(objects["stable"], "planted/_native.abi3.so", free),
    )
    abi3t = members(objects["plain-t"], "planted/_native.abi3t.so", (f"cp314-abi3t-{PLATFORM}",))
    yield one("abi3t before 3.15", "WF321", name_of("abi3t"), abi3t)
    path = "planted/_native.abi3.so"
    yield one(
        "newer stable ABI",
        "WF320",
        name_of("abi3", python="cp39"),
        members(objects["stable-newer"], path, stable),
    )
    yield one(
        "outside the stable ABI",
        "WF320",
        name_of("abi3", python="cp39"),
        members(objects["stable-never"], path, stable),
    )
    anywhere = members(objects["plain"], "planted/_native.so", ("py3-none-any",))
    yield one("native code in any", "WF312", name_of("none", "any", "py3"), anywhere)
    helper = members(objects["libplantedhelper.so.1"], "planted/attach.so", ("py3-none-any",))
    yield one("library in any", "WF338", name_of("none", "any", "py3"), helper)
    stray = members(objects["good"]) | {other: objects["good"]}
    yield one("for another interpreter as well", "WF337", name_of(), stray)
    arm = objects["good"][:18] + b"\xb7\x00" + objects["good"][20:]
    yield one("for aarch64", "WF313", name_of(), members(arm))
    yield one(
        "text named .so",
        "WF314",
        name_of(),
        members(b"version https://git-lfs.github.com/spec/v1\n"),
    )
    yield one("native file cut short", "WF314", name_of(), members(objects["good"][:2000]))


def _edited(content: Members) -> Iterator[Planted]:
    def one(
        fault: str,
        code: str,
        edited: Members,
        recorded: bytes | None = None,
        filename: str = name_of(),
    ) -> Planted:
        return Planted(fault=fault, code=code, filename=filename, content=pack(edited, recorded))

    wheel, metadata = f"{DIST_INFO}/WHEEL", f"{DIST_INFO}/METADATA"
    yield one(
        "tags disagree",
        "WF309",
        {**content, wheel: content[wheel].replace(b"cp314-cp314-", b"cp314-cp314t-")},
    )
    yield one(
        "Root-Is-Purelib", "WF310", {**content, wheel: content[wheel].replace(b"false", b"true")}
    )
    yield one(
        "nothing native",
        "WF311",
        {name: data for name, data in content.items() if not name.endswith(".so")},
    )
    yield one(
        "other version inside",
        "WF308",
        {**content, metadata: content[metadata].replace(b"1.0", b"2.0")},
    )
    yield one(
        "renamed wheel", "WF308", content, filename=name_of().replace("planted-1.0", "planted-1.1")
    )
    yield one(
        "no METADATA", "WF308", {name: data for name, data in content.items() if name != metadata}
    )
    yield one("no WHEEL", "WF308", {name: data for name, data in content.items() if name != wheel})
    yield one("no RECORD", "WF307", content, b"")
    yield one(
        "RECORD with wrong hash",
        "WF307",
        content,
        record({**content, "planted/__init__.py": b"x" * 28}),
    )
    yield one("file not in RECORD", "WF307", {**content, "planted/more.py": b""}, record(content))
    yield one(
        "RECORD lists what is not there",
        "WF307",
        content,
        record({**content, "planted/more.py": b""}),
    )
    yield one("tests beside the package", "WF330", {**content, "tests/__init__.py": b""})
    yield one("README beside the package", "WF330", {**content, "README.md": b""})
    yield one(
        "compiled Python", "WF331", {**content, "planted/__pycache__/x.cpython-314.pyc": b"x"}
    )


def _broken(content: bytes, whole: Members) -> Iterator[Planted]:
    def one(fault: str, code: str, edited: bytes) -> Planted:
        return Planted(fault=fault, code=code, filename=name_of(), content=edited)

    yield one("cut short", "WF305", content[: len(content) // 2])
    at = content.index(b"planted/_native") + 400
    yield one(
        "damaged member",
        "WF305",
        content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + 64]) + content[at + 64 :],
    )
    yield one("not a zip archive", "WF305", b"<html>404</html>")
    yield one("path traversal", "WF306", _with(whole, "../evil.py", b""))
    yield one("absolute path", "WF306", _with(whole, "/etc/evil.py", b""))
    yield one("duplicate member", "WF306", _with(whole, "planted/__init__.py", b"import evil\n"))
    yield one(
        "symbolic link", "WF306", _with(whole, "planted/link", b"/etc/passwd", stat.S_IFLNK | 0o777)
    )
    yield one("module of an installer", "WF334", pack({**whole, "pip/__init__.py": b""}))
    yield one("zip bomb", "WF306", _with(whole, "planted/zeros", bytes(512 << 20)))


def _with(content: Members, name: str, data: bytes, mode: int = stat.S_IFREG | 0o644) -> bytes:
    """Return a wheel with one member more, whatever it is called."""
    buffer = io.BytesIO(pack(content))
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a name is there twice is the point
        archive.writestr(info, data)
    return buffer.getvalue()
