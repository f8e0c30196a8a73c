"""Facts about wheel files, as JSON: what they say of themselves, and what their native code needs.

Usage: python -m inside.audit OUTPUT [--no-auditwheel] WHEEL…

Facts of a wheel:

`faults`      what is wrong with the archive, its metadata or RECORD, as [kind, where, detail] (see wheelfile.py)
`size`        in bytes
`members`     how many files
`dist_info`   name of that folder
`metadata`    header fields of METADATA; `wheel`, those of WHEEL; by lower-case name, each a list
`top_level`   what it puts beside other packages, by name: `package`, `module`, `folder` (no code in it), `libraries`,
              `file`
`bytecode`    compiled Python files that it ships
`sboms`       files under `.dist-info/sboms` (PEP 770)
`components`  what those say the wheel brings along, each as [name, version, package URL]; the wheel itself left out
`extensions`  each extension module's path -> the tag in its suffix (PEP 3149); no tag is an empty text
`objects`     each native file's path -> its facts (see objects.py)
`grafted`     libraries that a repair tool put in, by path
`auditwheel`  its versioned JSON, or `auditwheel_error`
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import objects
from .wheelfile import Wheel, headers

_FIELDS = {
    "classifier", "generator", "metadata-version", "name", "requires-dist", "requires-python", "root-is-purelib", "tag",
    "version", "wheel-version",
}  # fmt: skip


def facts(path: Path) -> dict[str, Any]:
    """Return the facts of one wheel, auditwheel's apart."""
    with Wheel(path) as wheel:
        native = objects.Objects()
        for name, content in wheel.objects() if wheel.members else ():
            native.add(name, content)
        names = list(wheel.members)
        found = {
            "size": path.stat().st_size,
            "members": len(names),
            "dist_info": wheel.dist_info,
            "metadata": _fields(wheel, "METADATA"),
            "wheel": _fields(wheel, "WHEEL"),
            "top_level": top_level(names),
            "bytecode": [name for name in names if name.endswith((".pyc", ".pyo"))],
            "sboms": [name for name in names if name.startswith(f"{wheel.dist_info}/sboms/")],
            "components": _components(wheel, names),
            "extensions": native.extensions(),
            "objects": native.facts(),
            "grafted": native.grafted(),
        }
        return {"faults": wheel.faults, **found}


def _fields(wheel: Wheel, name: str) -> dict[str, list[str]]:
    text = wheel.text(f"{wheel.dist_info}/{name}")
    if text is None and wheel.members:
        wheel.faults.append(
            ("metadata", name, f"it has no {name} file in a .dist-info folder of its own")
        )
    return {key: value for key, value in headers(text or "").items() if key in _FIELDS}


def _components(wheel: Wheel, names: list[str]) -> list[tuple[str, str, str]]:
    """Read the components of CycloneDX documents, each reference once, what is of the index left out: the wheel is."""
    found: dict[str, tuple[str, str, str]] = {}
    for name in names:
        if not (name.startswith(f"{wheel.dist_info}/sboms/") and name.endswith(".json")):
            continue
        try:
            listed = json.loads(wheel.text(name) or "{}").get("components", [])
            for one in listed:
                purl = str(one.get("purl", ""))
                if not purl.startswith("pkg:pypi/"):
                    part = (str(one["name"]), str(one.get("version", "")), purl)
                    found[str(one.get("bom-ref", "/".join(part)))] = part
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            continue  # somebody else's format
    return list(found.values())


def top_level(names: list[str]) -> dict[str, str]:
    """Return what a wheel puts directly into the folder for packages, and of what kind it is."""
    found: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if parts[0].endswith(".data"):
            if not {"purelib", "platlib"} & set(parts[1:2]):
                continue  # programs, headers and data have places of their own
            parts = parts[2:] or [name]
        first = parts[0]
        code = parts[-1].endswith((".py", ".so", ".pyi", ".pyc"))
        if first.endswith(".dist-info"):
            continue
        if len(parts) == 1:
            found[first] = "module" if code else "file"
        elif first.endswith(".libs"):
            found[first] = "libraries"
        elif found.get(first) != "package":
            found[first] = "package" if code else "folder"
    return found


def policy(wheel: Path) -> dict[str, object]:
    """Ask auditwheel which platform tag a wheel is consistent with."""
    done = subprocess.run(
        ["auditwheel", "show", "--json", str(wheel)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"auditwheel_error": lines[-1] if lines else f"exit code {done.returncode}"}
    return {"auditwheel": json.loads(done.stdout)}


def main() -> None:
    """Write the facts of each wheel named on the command line."""
    output, *rest = sys.argv[1:]
    wheels = [Path(name) for name in rest if name != "--no-auditwheel"]
    found = {}
    for wheel in wheels:
        found[wheel.name] = facts(wheel)
        if "--no-auditwheel" not in rest and not found[wheel.name]["faults"]:
            found[wheel.name] |= policy(wheel)
    Path(output).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
