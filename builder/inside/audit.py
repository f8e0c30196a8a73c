"""Facts about wheel files, as JSON: which modules they hold and what auditwheel says of them.

Usage: audit.py OUTPUT WHEEL…
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path


def facts(wheel: str) -> dict[str, object]:
    """Return the facts of one wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        return {"unreadable": str(error)}
    return {"extensions": extensions(names), **policy(wheel)}


def extensions(names: list[str]) -> dict[str, str]:
    """Return each extension module's path with the tag in its suffix (PEP 3149); no tag is an empty text."""
    found = {}
    for name in names:
        top, _, _ = name.partition("/")
        if not name.endswith(".so") or top.endswith((".libs", ".data", ".dist-info")):
            continue
        stem = Path(name).name.removesuffix(".so")
        module, _, tag = stem.partition(".")
        if not module.startswith("lib") or tag:
            found[name] = tag
    return found


def policy(wheel: str) -> dict[str, object]:
    """Ask auditwheel which platform tag a wheel is consistent with."""
    done = subprocess.run(
        ["auditwheel", "show", "--json", str(wheel)], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return {"auditwheel_error": lines[-1] if lines else f"exit code {done.returncode}"}
    return {"auditwheel": json.loads(done.stdout)}


def main() -> None:
    """Write the facts of each wheel named on the command line."""
    output, *wheels = sys.argv[1:]
    Path(output).write_text(json.dumps({Path(wheel).name: facts(wheel) for wheel in wheels}))


if __name__ == "__main__":
    main()
