"""A second opinion on wheels of the stable ABI (PEP 384), by abi3audit."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.untrusted.interpreter import ProcessLimits, TimeLimitError, run_confined
from builder.untrusted.text import UnfitJsonError, clean_json, parse_answer
from builder.untrusted.zips import explain_bomb, open_zip

if TYPE_CHECKING:
    from builder.verdicts.codes import FindingCode

_LIMITS = ProcessLimits(memory_bytes=2 << 30, cpu_s=120, file_bytes=2 << 30, wall_s=120)
"""For one wheel. It takes far less time; this is for a machine that is busy building. The files are those of the
wheel, unpacked one by one, and the report."""

_REPORT_BYTES = 64 << 20
"""Of its report: it lists every symbol of every module. Not measured."""

_EXPORT_HOOKS = ("PyModExport_", "PyModExportU_")
"""What the names of the functions begin with that import calls since CPython 3.15 (PEP 793)."""

_MAX_LISTED = 3
"""Symbols named in one finding: enough to recognise what is meant."""


def claims_stable_abi(filename: str) -> bool:
    """Return whether a wheel's file name has an `abi3` tag; False where it is no wheel's name."""
    try:
        _, _, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False

    return any(tag.abi == "abi3" for tag in tags)


def run_abi3audit(path: Path, filename: str) -> list[tuple[FindingCode, str, str]]:
    """Return abi3audit's objections to a wheel that claims the stable ABI and is known to be a whole, safe archive.

    A missing report is returned as an objection of its own (WF303); the list is empty where there is nothing to object
    to.

    Args:
        path: the file. It is unpacked to a temporary folder, so the archive has to be known to be safe.
        filename: its name as a wheel.

    Returns:
        Of each objection the code of a finding, where it is, and what it says.
    """
    no_report: list[tuple[FindingCode, str, str]] = [
        ("WF303", filename, "abi3audit gave no report on it")
    ]
    if _is_bomb(path):
        return no_report

    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        # The store calls files by their hashes, and abi3audit reads tags from the name.
        link = Path(folder) / filename
        link.symlink_to(path.resolve())
        try:
            ended = run_confined("abi3audit", ["--report", str(link)], Path(folder), _LIMITS)
            # It names symbols and modules as the wheel does.
            report: Any = clean_json(parse_answer(ended.output, _REPORT_BYTES))
        except (TimeLimitError, UnfitJsonError):
            return no_report

    objections: list[tuple[FindingCode, str, str]] = []
    for spec in report["specs"].values():
        for module in spec.get("wheel", ()):
            problem = _describe_problem(module["result"])
            if problem:
                name = module["name"]
                objections.append(("WF320", name, f"{name} {problem}, says abi3audit"))
    return objections


def _is_bomb(path: Path) -> bool:
    """Return whether a wheel unpacks to more than this machine should take, or cannot be read at all."""
    try:
        with open_zip(path) as archive:
            return bool(explain_bomb(archive, archive.infolist(), path.stat().st_size))
    except (zipfile.BadZipFile, OSError, ValueError):
        return True


def _describe_problem(result: dict[str, Any]) -> str:
    """Return what abi3audit objects to in one module: symbols outside the stable ABI, or newer than promised.

    Empty where it objects to nothing.
    """
    # A module's own function, which it exports: abi3audit knows PyInit_ alone (0.0.26).
    foreign = [name for name in result["non_abi3_symbols"] if not name.startswith(_EXPORT_HOOKS)]
    if foreign:
        return f"uses {', '.join(foreign[:_MAX_LISTED])}, not in the stable ABI"

    if not result["is_abi3_baseline_compatible"]:
        newer = list(result["future_abi3_objects"].items())[:_MAX_LISTED]
        listed = ", ".join(f"{name} of {added}" for name, added in newer)
        return f"promises {result['baseline']} and uses {listed}"

    return ""
