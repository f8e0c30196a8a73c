"""What is weaker than it could be on a machine, by what its engine says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from builder.engine import posture

GOOD: dict[str, Any] = {
    "ServerVersion": "28.2.2",
    "KernelVersion": "6.12.43-amd64",
    "CgroupVersion": "2",
    "Driver": "overlay2",
    "SecurityOptions": ["name=seccomp,profile=builtin", "name=userns", "name=cgroupns"],
    "RuncCommit": {"ID": "v1.3.3-0-gd842d771"},
}


def names(runc: str = "1.3.3", **changes: Any) -> list[str]:
    found = posture.find_weaknesses(posture.read_posture({**GOOD, **changes}), runc)
    return [weakness.name for weakness in found]


def fatal(runc: str = "1.3.3", **changes: Any) -> list[str]:
    found = posture.find_weaknesses(posture.read_posture({**GOOD, **changes}), runc)
    return [weakness.name for weakness in found if weakness.is_fatal]


def test_a_good_machine_has_no_weakness():
    assert names() == []


def test_each_weakness_is_told():
    assert names(SecurityOptions=["name=seccomp,profile=default"]) == ["no user namespaces"]
    assert names(SecurityOptions=["name=rootless", "name=seccomp"]) == []
    assert fatal(SecurityOptions=["name=userns"]) == ["no seccomp"]
    assert names(SecurityOptions=None) == ["no seccomp", "no user namespaces"]
    assert names(CgroupVersion="1") == ["control groups version 1"]
    assert names(KernelVersion="4.19.0-27-amd64") == ["old kernel"]


NEWER = "CVE-2025-31133, CVE-2025-52565, CVE-2025-52881"


@pytest.mark.parametrize(
    ("version", "open_holes", "fatal_holes"),
    [
        ("1.1.5", ["CVE-2024-21626", NEWER], ["CVE-2024-21626"]),
        ("1.1.12", [NEWER], []),
        ("1.2.7", [NEWER], []),
        ("1.2.8", [], []),
        ("1.3.2", [NEWER], []),
        ("1.3.3", [], []),
        ("1.4.1", [], []),
        ("2.0.0", [], []),
        # Packages keep upstream's older number: of Debian 12 one fix is known, of others nothing.
        ("1.1.5+ds1-1+deb12u1", [NEWER], []),
        ("1.1.5+ds1-1", ["CVE-2024-21626", NEWER], []),
        ("", [], []),
        ("unknown", [], []),
    ],
)
def test_known_ways_out_of_runc(version: str, open_holes: list[str], fatal_holes: list[str]):
    assert names(version) == open_holes
    assert fatal(version) == fatal_holes


def test_evidence_says_what_a_run_had():
    current = posture.read_posture(GOOD)
    record = posture.make_record(current, posture.find_weaknesses(current, "1.1.12"))
    assert record["user_namespaces"] is True
    assert len(record["seccomp"]) == 16
    assert record["capabilities"]["build"] == []
    assert record["weaknesses"] == [NEWER]
