"""A second opinion on wheels of the stable ABI (PEP 384), by abi3audit."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

if TYPE_CHECKING:
    from builder.finding_codes import FindingCode

_TIMEOUT_S = 120


def claims_stable_abi(filename: str) -> bool:
    """Return whether a wheel claims the stable ABI."""
    try:
        return any(tag.abi == "abi3" for tag in parse_wheel_filename(filename)[3])
    except InvalidWheelFilename:
        return False


def run_abi3audit(path: Path, filename: str) -> list[tuple[FindingCode, str, str]]:
    """Ask abi3audit about a wheel that claims the stable ABI and is whole.

    Args:
        path: the file. It is unpacked to a temporary folder, so the archive has to be known to be safe.
        filename: its name as a wheel.

    Returns:
        Of each objection the code of a finding, where it is, and what it says.
    """
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        named = Path(folder) / filename
        named.symlink_to(path.resolve())
        command = [sys.executable, "-m", "abi3audit", "--report", str(named)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
            )
            report = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return [("WF303", filename, "abi3audit gave no report on it")]
    return [
        ("WF320", one["name"], f"{one['name']} {detail}, says abi3audit")
        for spec in report["specs"].values()
        for one in spec.get("wheel", ())
        if (detail := _describe_problem(one["result"]))
    ]


def _describe_problem(result: dict[str, Any]) -> str:
    if result["non_abi3_symbols"]:
        return f"uses {', '.join(result['non_abi3_symbols'][:3])}, not in the stable ABI"
    if not result["is_abi3_baseline_compatible"]:
        newer = ", ".join(
            f"{name} of {added}" for name, added in list(result["future_abi3_objects"].items())[:3]
        )
        return f"promises {result['baseline']} and uses {newer}"
    return ""
