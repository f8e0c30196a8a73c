"""Verdicts as JUnit XML: a suite per ABI, a case per package, so that a CI system lists them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from builder.verdicts import Verdict

if TYPE_CHECKING:
    from builder.report.documents.findings import FindingPart
    from builder.report.documents.packages import AbiPart, PackagePart
    from builder.report.documents.verdicts_json import Document

_INVALID_XML_CHARACTER = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""A character that XML 1.0 does not allow, not even escaped."""


def render(document: Document) -> str:
    """Return the verdicts as JUnit XML, with a test suite for each ABI."""
    root = ET.Element("testsuites", name="wheelfarm")
    for abi in document.list_abis():
        _add_suite(root, document, abi)

    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_suite(root: ET.Element, document: Document, abi: str) -> None:
    """Add the test suite of an ABI, with a test case for each package that was judged for this ABI."""
    packages = [package for package in document.packages if abi in package.abis]
    verdicts = document.list_verdicts(abi)
    failures = [verdict for verdict in verdicts if verdict.is_fault]

    suite = ET.SubElement(
        root,
        "testsuite",
        name=f"wheelfarm.{abi}",
        tests=str(len(packages)),
        failures=str(len(failures)),
        errors="0",
        skipped=str(verdicts.count(Verdict.UNDETERMINED)),
        timestamp=document.generated_at.removesuffix("Z"),
        time="0",
    )
    for package in packages:
        _add_case(suite, package, abi, package.abis[abi])


def _add_case(suite: ET.Element, package: PackagePart, abi: str, part: AbiPart) -> None:
    """Add the test case of a package: skipped if the verdict is undetermined, failed if it is a fault, else passed.

    Every case, a passed one too, has the verdict and its reason as its output.
    """
    name = _escape(package.name)
    reason = _escape(part.reason)
    case = ET.SubElement(suite, "testcase", classname=f"wheelfarm.{abi}", name=name, time="0")

    verdict = part.verdict
    if verdict is Verdict.UNDETERMINED:
        ET.SubElement(case, "skipped", type=verdict.value, message=reason)
    elif verdict.is_fault:
        failure = ET.SubElement(case, "failure", type=verdict.value, message=reason)
        failure.text = _escape("\n".join(_describe(finding) for finding in part.findings))

    output = ET.SubElement(case, "system-out")
    output.text = _escape(f"{package.title} on {abi}: {part.verdict}. {part.reason}")


def _describe(finding: FindingPart) -> str:
    """Return a finding as three lines: what it is, what to do about it, and the command that reproduces it."""
    return (
        f"{finding.code} {finding.title}: {finding.detail} [{finding.where}]\n"
        f"  {finding.remedy}\n"
        f"  {finding.replay}"
    )


def _escape(text: str) -> str:
    return _INVALID_XML_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)
