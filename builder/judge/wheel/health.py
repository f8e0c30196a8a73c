"""How is its native code made, and what else does it bring along?"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

_COMMON_NAMES = {
    "benchmark", "benchmarks", "bin", "build", "config", "conftest.py", "data", "dist", "doc", "docs", "example",
    "examples", "include", "lib", "main.py", "script", "scripts", "setup.py", "src", "test", "testing",
    "tests", "tool", "tools", "utils",
}  # fmt: skip
"""What many projects have beside their package, and some put into their wheel by mistake."""
_BASELINE_ISA = 1  # x86-64-v1, which every processor of the platform tag has
_SYSTEM_LIBRARY = re.compile(
    r"lib(?:odbc|odbcinst|iodbc|krb5|k5crypto|gssapi_krb5|krb5support|com_err|cuda|nvidia-[\w-]+|nvcuvid|vdpau|va|va-drm"
    r"|EGL|GL|GLX|GLdispatch|GLESv2|OpenGL|OpenCL|vulkan|gbm|drm|X11|X11-xcb|xcb|wayland-\w+|pcsclite|pam|nss_\w+|systemd|udev"
    r"|dbus-1|asound|pulse|jack|ibverbs|rdmacm|mlx\d|fuse3?|selinux|sasl2|p11-kit|proxy|usb-1\.0|bluetooth|cups)"
    r"(?:-[0-9a-f]{6,})?\.so(?:\.|$)"
)
"""Libraries that work with a part of the system beside them: drivers, services, plug-ins, configuration in /etc. With
what repair tools put into the names of grafted ones."""

_MAX_PATHS = 2  # of the build machine, of one file


def judge_health(subject: Subject) -> Iterator[Finding]:
    """Yield findings on how native code was compiled and linked, and on files that a wheel should not bring along.

    Those are bytecode, and files beside other packages at the top of site-packages.
    """
    yield from _judge_native_code(subject)
    yield from group_finding("WF335", list(_copies_of_system_libraries(subject)))
    yield from group_finding("WF326", list(_search_paths(subject)))
    yield from group_finding("WF327", list(_without_relro(subject)))
    yield from group_finding("WF328", list(_build_paths(subject)))
    yield from group_finding("WF330", list(_loose_files(subject)))
    yield from group_finding("WF331", [(path, path) for path in subject.facts.bytecode])


def _judge_native_code(subject: Subject) -> Iterator[Finding]:
    """Yield findings for native files that need a newer processor, an executable stack, or text relocations.

    Programs in the wheel are checked for the processor alone: they are started in a process of their own.
    """
    newer_processor: list[tuple[str, str]] = []
    executable_stack: list[tuple[str, str]] = []
    text_relocations: list[tuple[str, str]] = []
    for path, native in subject.objects.items():
        is_loaded = native.kind != "program"  # a program is started, in a process of its own
        if native.isa > _BASELINE_ISA:
            newer_processor.append((path, f"{path} needs a processor of x86-64-v{native.isa}"))
        if native.stack and is_loaded:
            executable_stack.append((path, f"{path} wants an executable stack"))
        if native.text_relocations and is_loaded:
            text_relocations.append((path, f"{path} has text relocations"))

    yield from group_finding("WF323", newer_processor)
    yield from group_finding("WF324", executable_stack)
    yield from group_finding("WF325", text_relocations)


def _copies_of_system_libraries(subject: Subject) -> Iterator[tuple[str, str]]:
    for path in subject.facts.grafted:
        name = posixpath.basename(path)
        if _SYSTEM_LIBRARY.match(name):
            stem = re.sub(r"-[0-9a-f]{6,}$", "", name.partition(".so")[0])
            yield path, f'{name} is a copy of one: exclude = ["{stem}.so.*"] leaves it out'


def _without_relro(subject: Subject) -> Iterator[tuple[str, str]]:
    for path, native in subject.objects.items():
        if native.kind != "program" and not native.relro:
            yield path, f"{path} has no RELRO"


def _search_paths(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for each RPATH or RUNPATH entry of a native file that leads out of the wheel.

    Fine are `$ORIGIN`, which stands for the file's own folder, and folders below the wheel's root.
    """
    for path, native in subject.objects.items():
        folder = posixpath.dirname(path) or "."
        for entry in (*native.rpath, *native.runpath):
            search_path = entry.replace("${ORIGIN}", "$ORIGIN")
            in_wheel = posixpath.normpath(search_path.replace("$ORIGIN", folder))

            if not search_path.startswith("$ORIGIN"):
                yield path, f"{path} looks for libraries in {entry!r}"
            elif in_wheel.startswith(".."):
                leads_out = "which leads out of the folder it is installed to"
                yield path, f"{path} looks for libraries in {entry!r}, {leads_out}"


def _build_paths(subject: Subject) -> Iterator[tuple[str, str]]:
    for path, native in subject.objects.items():
        if native.paths:
            yield path, f"{path} has {', '.join(native.paths[:_MAX_PATHS])}"


def _loose_files(subject: Subject) -> Iterator[tuple[str, str]]:
    """Yield (name, sentence) for what the wheel installs at the top of site-packages and should not.

    These are `.pth` files, files and folders that are no Python, and names such as `tests` that many projects use. Such
    a name is fine where it is all that the wheel has.
    """
    top_level = subject.facts.top_level
    code = subject.facts.installs.pth if subject.facts.installs is not None else {}
    for name, kind in top_level.items():
        if name.endswith(".pth"):
            what = f" ({code[name]})" if name in code else ""
            yield name, f"{name}{what} is run by every interpreter that starts in this environment"
        elif kind in {"file", "folder"}:
            yield name, f"{name} is installed beside other packages, and is not Python"
        elif name in _COMMON_NAMES and len(top_level) > 1:
            yield name, f"{name} is installed beside other packages under a name that many use"
