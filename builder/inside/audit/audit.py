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


_AUDITWHEEL_TIMEOUT_S = 120  # not measured


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts of one wheel, auditwheel's apart."""
    with Wheel(path) as wheel:
        native = objects.Objects()
        if wheel.members:
            for name, content in wheel.objects():
                native.add(name, content)

        names = list(wheel.members)
        sboms = [name for name in names if name.startswith(f"{wheel.dist_info}/sboms/")]
        facts = {
            "size": path.stat().st_size,
            "members": len(names),
            "dist_info": wheel.dist_info,
            "metadata": _read_fields(wheel, "METADATA"),
            "wheel": _read_fields(wheel, "WHEEL"),
            "top_level": classify_top_level(names),
            "bytecode": [name for name in names if name.endswith((".pyc", ".pyo"))],
            "sboms": sboms,
            "components": _read_components(wheel, sboms),
            "extensions": native.extensions(),
            "objects": native.facts(),
            "grafted": native.grafted(),
        }
        # Last, because reading adds to them.
        return {"faults": wheel.faults, **facts}


def _read_fields(wheel: Wheel, name: str) -> dict[str, list[str]]:
    text = wheel.text(f"{wheel.dist_info}/{name}")
    if text is None and wheel.members:
        detail = f"it has no {name} file in a .dist-info folder of its own"
        wheel.faults.append(("metadata", name, detail))

    return {key: value for key, value in headers(text or "").items() if key in _FIELDS}


def _read_components(wheel: Wheel, sboms: list[str]) -> list[tuple[str, str, str]]:
    """Read the components of CycloneDX documents, each reference once, what is of the index left out: the wheel is."""
    components: dict[str, tuple[str, str, str]] = {}
    for name in sboms:
        if not name.endswith(".json"):
            continue

        try:
            document = json.loads(wheel.text(name) or "{}")
            for component in document.get("components", []):
                purl = str(component.get("purl", ""))
                if purl.startswith("pkg:pypi/"):
                    continue
                described = (str(component["name"]), str(component.get("version", "")), purl)
                reference = str(component.get("bom-ref", "/".join(described)))
                components[reference] = described
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            continue  # somebody else's format

    return list(components.values())


def classify_top_level(names: list[str]) -> dict[str, str]:
    """Return what a wheel puts directly into the folder for packages, and of what kind it is."""
    kinds: dict[str, str] = {}
    for name in names:
        parts = _installed_parts(name)
        if not parts or parts[0].endswith(".dist-info"):
            continue

        top = parts[0]
        is_code = parts[-1].endswith((".py", ".so", ".pyi", ".pyc"))
        if len(parts) == 1:
            kinds[top] = "module" if is_code else "file"
        elif top.endswith(".libs"):
            kinds[top] = "libraries"
        elif kinds.get(top) != "package":
            kinds[top] = "package" if is_code else "folder"

    return kinds


def _installed_parts(name: str) -> list[str]:
    """Return a member's path in the folder for packages; empty where it goes elsewhere."""
    parts = name.split("/")
    if not parts[0].endswith(".data"):
        return parts

    goes_beside_packages = bool({"purelib", "platlib"} & set(parts[1:2]))
    if not goes_beside_packages:
        return []  # programs, headers and data have places of their own

    return parts[2:] or [name]


def ask_auditwheel(wheel: Path) -> dict[str, object]:
    """Ask auditwheel which platform tag a wheel is consistent with."""
    done = subprocess.run(
        ["auditwheel", "show", "--json", str(wheel)],
        capture_output=True,
        text=True,
        timeout=_AUDITWHEEL_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"auditwheel_error": lines[-1] if lines else f"exit code {done.returncode}"}

    return {"auditwheel": json.loads(done.stdout)}


def main() -> None:
    """Write the facts of each wheel named on the command line."""
    output, *rest = sys.argv[1:]
    asks_auditwheel = "--no-auditwheel" not in rest
    wheels = [Path(name) for name in rest if name != "--no-auditwheel"]

    answer = {}
    for wheel in wheels:
        facts = read_facts(wheel)
        if asks_auditwheel and not facts["faults"]:
            facts |= ask_auditwheel(wheel)
        answer[wheel.name] = facts

    Path(output).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
