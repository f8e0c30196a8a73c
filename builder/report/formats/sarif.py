"""Findings that name a file and a line, as SARIF 2.1.0."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from builder import __version__
from builder.judge import codes
from builder.verdicts import Severity

if TYPE_CHECKING:
    from pydantic import JsonValue

    from builder.report.documents.findings import FindingPart, LocationPart
    from builder.report.documents.packages import PackagePart
    from builder.report.documents.verdicts_json import Document
    from builder.verdicts.codes import FindingCode

_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")
"""The bracket that a link in a message begins with."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(document: Document) -> str:
    """Return the findings that name a line of source code as a SARIF log, in JSON. Other findings are left out."""
    results: list[JsonValue] = []
    seen_codes: set[str] = set()
    for package, abi, part in document.iter_verdicts():
        for finding in part.findings:
            locations = _render_locations(finding.locations)
            if locations:
                results.append(_render_result(package, abi, finding, locations))
                seen_codes.add(finding.code)

    rules: list[JsonValue] = [_render_rule(code) for code in sorted(seen_codes)]
    driver: JsonValue = {"name": "wheelfarm", "version": __version__, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _render_rule(code: str) -> JsonValue:
    """Return the SARIF rule of a code: title, meaning, remedy and level."""
    kind = codes.load()[cast("FindingCode", code)]

    return {
        "id": code,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": kind.meaning},
        "help": {"text": kind.remedy},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
    }


def _render_result(
    package: PackagePart, abi: str, finding: FindingPart, locations: list[JsonValue]
) -> JsonValue:
    """Return the SARIF result of a finding.

    The first location is where the problem is; all others are related locations, see `_render_locations`.
    """
    detail = _escape_links(finding.detail or finding.title)
    message = f"{package.title} on {abi}: {detail}"
    bases: list[JsonValue] = list(finding.bases)

    return {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": message},
        "locations": locations[:1],
        "relatedLocations": locations[1:],
        "partialFingerprints": {"wheelfarmFinding/v1": finding.id},
        "properties": {
            "package": package.name,
            "version": package.version,
            "abi": abi,
            "bases": bases,
            "remedy": finding.remedy,
            "replay": finding.replay,
        },
    }


def _escape_links(text: str) -> str:
    """Return a text for a message in which `[text](target)` is no link (SARIF 2.1.0, 3.11.6)."""
    return _LINK.sub(r"\\[", text)


def _render_locations(locations: list[LocationPart]) -> list[JsonValue]:
    """Return a finding's locations in SARIF's form; those whose line is not known are skipped.

    SARIF takes several `locations` for one defect only if it has to be mended in each of them. The second access of a
    data race is therefore a related location; it has an id, by which a message could name it.
    """
    rendered: list[JsonValue] = []
    for location in locations:
        if location.line is None:
            continue

        sarif_location: dict[str, JsonValue] = {
            "physicalLocation": {
                "artifactLocation": {"uri": quote(location.path)},
                "region": {"startLine": location.line},
            }
        }
        if rendered:
            sarif_location["id"] = len(rendered)
        if location.function:
            sarif_location["logicalLocations"] = [{"name": location.function, "kind": "function"}]
        rendered.append(sarif_location)

    return rendered
