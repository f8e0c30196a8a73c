"""What pytest says of a run: its report file says what came of each test, its summary what it could not do."""

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

from ...supervise.folders import read_file

MOST_NAMED = 30
"""Tests and files that are named in facts: a page or two."""

_MOST_XML_BYTES = 64 << 20  # of pytest's own report: hundreds of thousands of tests
_LONGEST_MESSAGE = 400  # characters of an error: facts are kept for each release

_RUN_IN_ONE_THREAD = re.compile(r"^(\S+::.+?) was not run in parallel: (.*)$", re.MULTILINE)
"""How pytest-run-parallel, when verbose, names a test that it runs in one thread."""

_UNCOLLECTED = re.compile(r"^ERROR (\S+?)(?: -|$)", re.MULTILINE)
"""How the summary of pytest names a file that it could not collect."""


@dataclass(kw_only=True, slots=True)
class Outcomes:
    """What pytest's own report says of each test.

    Attributes:
        passed: names of tests.
        failed: the first lines of their errors, by name of test.
        skipped: how many were.
    """

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


def read_outcomes(report: Path) -> Outcomes:
    """Return what pytest's report file says of each test; empty where pytest wrote none, or something else is there."""
    outcomes = Outcomes()
    content = read_file(report, _MOST_XML_BYTES)
    if content is None:
        return outcomes
    try:
        cases = ET.fromstring(content).iter("testcase")
    except ET.ParseError:
        return outcomes

    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        # A test whose fixture failed has an `error` instead of a `failure`.
        failure = next((child for child in case if child.tag in {"failure", "error"}), None)
        if failure is not None:
            message = failure.get("message") or ""
            outcomes.failed[name] = message[:_LONGEST_MESSAGE]
        elif case.find("skipped") is not None:
            outcomes.skipped += 1
        else:
            outcomes.passed.add(name)

    return outcomes


def find_single_threaded(text: str) -> dict[str, str]:
    """Return the tests that pytest-run-parallel says it ran in one thread, with its reasons."""
    return {name: reason.strip() for name, reason in _RUN_IN_ONE_THREAD.findall(text)}


def list_uncollected(text: str) -> list[str]:
    """Return the files that could not be collected, sorted."""
    return sorted(set(_UNCOLLECTED.findall(text)))[:MOST_NAMED]
