"""Verdicts as JUnit XML: a suite per ABI, a case per package, so that a CI system lists them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from builder.verdicts import Verdict

if TYPE_CHECKING:
    from builder.report.document import AbiPart, Document, PackagePart

_PASSING_VERDICTS = frozenset({Verdict.COMPATIBLE, Verdict.UNPROVEN, Verdict.GIL_REQUIRED})
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, escaped or not."""


def render(document: Document) -> str:
    """Return the report as text."""
    root = ET.Element("testsuites", name="wheelfarm")
    abis = dict.fromkeys(abi for package in document.packages for abi in package.abis)
    for abi in abis:
        judged = [package for package in document.packages if abi in package.abis]
        verdicts = [Verdict(package.abis[abi].verdict) for package in judged]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"wheelfarm.{abi}",
            tests=str(len(judged)),
            failures=str(
                sum(
                    one not in _PASSING_VERDICTS and one is not Verdict.UNDETERMINED
                    for one in verdicts
                )
            ),
            errors="0",
            skipped=str(verdicts.count(Verdict.UNDETERMINED)),
            timestamp=document.generated_at.removesuffix("Z"),
            time="0",
        )
        for package in judged:
            _add_case(suite, package, abi, package.abis[abi])
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, package: PackagePart, abi: str, part: AbiPart) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"wheelfarm.{abi}", name=_escape(package.name), time="0"
    )
    verdict = Verdict(part.verdict)
    if verdict is Verdict.UNDETERMINED:
        ET.SubElement(case, "skipped", type=verdict.value, message=_escape(part.reason))
    elif verdict not in _PASSING_VERDICTS:
        failure = ET.SubElement(case, "failure", type=verdict.value, message=_escape(part.reason))
        failure.text = _escape(
            "\n".join(
                f"{one.code} {one.title}: {one.detail} [{one.where}]\n  {one.remedy}\n  {one.replay}"
                for one in part.findings
            )
        )
    output = ET.SubElement(case, "system-out")
    output.text = _escape(
        f"{package.name} {package.version} on {abi}: {part.verdict}. {part.reason}"
    )


def _escape(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
