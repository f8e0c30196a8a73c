"""Findings that name a file and a line, as SARIF 2.1.0."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from builder import __version__
from builder.judge import codes
from builder.verdicts import Severity

if TYPE_CHECKING:
    from builder.finding_codes import FindingCode
    from builder.report.document import Document, FindingPart, PackagePart

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_LOCATION = re.compile(r"(?P<path>[^:\s][^:\n]*\.[A-Za-z0-9_+]+):(?P<line>[1-9]\d{0,8})\b")


def render(document: Document) -> str:
    """Return the log as text."""
    results = [
        _result(package, abi, finding, place)
        for package in document.packages
        for abi, part in package.abis.items()
        for finding in part.findings
        if (place := _LOCATION.match(finding.where))
    ]
    rules = [_rule(code) for code in sorted({result["ruleId"] for result in results})]
    driver = {"name": "wheelfarm", "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _rule(code: FindingCode) -> dict[str, Any]:
    kind = codes.load()[code]
    return {
        "id": code,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": kind.meaning},
        "help": {"text": kind.remedy},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
    }


def _result(
    package: PackagePart, abi: str, finding: FindingPart, place: re.Match[str]
) -> dict[str, Any]:
    location = {
        "artifactLocation": {"uri": quote(place["path"])},
        "region": {"startLine": int(place["line"])},
    }
    return {
        "ruleId": finding.code,
        "level": _LEVELS[Severity(finding.severity)],
        "message": {
            "text": f"{package.name} {package.version} on {abi}: {finding.detail or finding.title}"
        },
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"wheelfarmFinding/v1": finding.id},
        "properties": {
            "package": package.name,
            "version": package.version,
            "abi": abi,
            "bases": finding.bases,
            "remedy": finding.remedy,
            "replay": finding.replay,
        },
    }
