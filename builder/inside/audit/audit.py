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
`installs`    where its files end up, and what of that may be another's (see installs.py)
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
from .installs import read_installs
from .wheelfile import Wheel, headers

_FIELDS = {
    "classifier", "generator", "metadata-version", "name", "requires-dist", "requires-python", "root-is-purelib", "tag",
    "version", "wheel-version",
}  # fmt: skip


_AUDITWHEEL_TIMEOUT_S = 120  # not measured


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts of one wheel: the fields listed at the top of this module, but not what auditwheel says.

    A wheel whose archive cannot be read safely has no members, so most of its facts are empty and `faults` says why.
    """
    with Wheel(path) as wheel:
        native = objects.Objects()
        if wheel.members:
            for name, content in wheel.objects():
                native.add(name, content)

        member_names = list(wheel.members)
        sboms = [name for name in member_names if name.startswith(f"{wheel.dist_info}/sboms/")]
        facts = {
            "size": path.stat().st_size,
            "members": len(member_names),
            "dist_info": wheel.dist_info,
            "metadata": _read_fields(wheel, "METADATA"),
            "wheel": _read_fields(wheel, "WHEEL"),
            "top_level": classify_top_level(member_names),
            "installs": read_installs(wheel),
            "bytecode": [name for name in member_names if name.endswith((".pyc", ".pyo"))],
            "sboms": sboms,
            "components": _read_components(wheel, sboms),
            "extensions": native.extensions(),
            "objects": native.facts(),
            "grafted": native.grafted(),
        }
        # Last, because reading adds to them.
        return {"faults": wheel.faults, **facts}


def _read_fields(wheel: Wheel, filename: str) -> dict[str, list[str]]:
    """Return those header fields of a file in the `.dist-info` folder that are in `_FIELDS`, by lower-case name.

    `Tag: cp314-cp314-linux_x86_64` in WHEEL -> `{"tag": ["cp314-cp314-linux_x86_64"]}`. A missing file gives no fields,
    and is recorded as a fault of the wheel, unless the archive itself could not be read: that is a fault already.
    """
    text = wheel.text(f"{wheel.dist_info}/{filename}")
    if text is None and wheel.members:
        detail = f"it has no {filename} file in a .dist-info folder of its own"
        wheel.faults.append(("metadata", filename, detail))

    return {key: value for key, value in headers(text or "").items() if key in _FIELDS}


def _read_components(wheel: Wheel, sboms: list[str]) -> list[tuple[str, str, str]]:
    """Return (name, version, package URL) of what the CycloneDX documents of a wheel say that it brings along.

    A component that several documents describe under one reference comes back once, as the last of them describes it.
    Components of the package index (`pkg:pypi/…`) are left out, because the wheel itself is listed as one.
    """
    components: dict[str, tuple[str, str, str]] = {}
    for name in sboms:
        if not name.endswith(".json"):
            continue  # CycloneDX can also be XML, which is not read here

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
            continue  # another format than CycloneDX, or a damaged document: what was read before stays

    return list(components.values())


def classify_top_level(member_names: list[str]) -> dict[str, str]:
    """Return the kind of each file or folder that a wheel puts directly into the folder for packages, by its name.

    `["a/__init__.py", "a.libs/b.so", "c.py"]` -> `{"a": "package", "a.libs": "libraries", "c.py": "module"}`. The
    `.dist-info` folder, and what is installed elsewhere, such as programs, are left out.
    """
    kinds: dict[str, str] = {}
    for name in member_names:
        parts = _installed_parts(name)
        if not parts or parts[0].endswith(".dist-info"):
            continue

        top_name = parts[0]
        is_code = parts[-1].endswith((".py", ".so", ".pyi", ".pyc"))
        if len(parts) == 1:
            kinds[top_name] = "module" if is_code else "file"
        elif top_name.endswith(".libs"):
            kinds[top_name] = "libraries"
        elif kinds.get(top_name) != "package":
            kinds[top_name] = "package" if is_code else "folder"

    return kinds


def _installed_parts(name: str) -> list[str]:
    """Return the parts of a member's path as seen from the folder for packages; empty where it is installed elsewhere.

    `a-1.data/purelib/a/b.py` -> `["a", "b.py"]`, `a-1.data/scripts/run` -> `[]` (PEP 427 has these folders).
    """
    parts = name.split("/")
    if not parts[0].endswith(".data"):
        return parts

    goes_beside_packages = bool({"purelib", "platlib"} & set(parts[1:2]))
    if not goes_beside_packages:
        return []  # programs, headers and data have places of their own

    return parts[2:] or [name]


def ask_auditwheel(wheel: Path) -> dict[str, object]:
    """Ask auditwheel which platform tag a wheel is consistent with.

    Returns:
        `auditwheel`, its JSON; or `auditwheel_error`, the last line it printed, where it failed.
    """
    completed = subprocess.run(
        ["auditwheel", "show", "--json", str(wheel)],
        capture_output=True,
        text=True,
        timeout=_AUDITWHEEL_TIMEOUT_S,
        check=False,
    )
    if completed.returncode != 0:
        lines = completed.stderr.strip().splitlines()
        return {"auditwheel_error": lines[-1] if lines else f"exit code {completed.returncode}"}

    return {"auditwheel": json.loads(completed.stdout)}


def main() -> None:
    """Write the facts of each wheel named on the command line, as one JSON object by file name.

    auditwheel is not asked about a wheel with faults, which it would unpack.
    """
    output, *arguments = sys.argv[1:]
    asks_auditwheel = "--no-auditwheel" not in arguments
    wheels = [Path(name) for name in arguments if name != "--no-auditwheel"]

    facts_by_wheel = {}
    for wheel in wheels:
        facts = read_facts(wheel)
        if asks_auditwheel and not facts["faults"]:
            facts |= ask_auditwheel(wheel)
        facts_by_wheel[wheel.name] = facts

    Path(output).write_text(json.dumps(facts_by_wheel))


if __name__ == "__main__":
    main()
