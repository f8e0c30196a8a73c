"""Libraries that were put into a wheel, and the components of its SBOM."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.judge import interfaces
from builder.judge.wheel import sbom
from builder.judge.wheel.subject import Subject
from tests.unit.facts import wheel_facts

AUDITWHEEL = ("x.dist-info/sboms/auditwheel.cdx.json",)


def rpm(name: str) -> tuple[str, str, str]:
    return name, "1.0", f"pkg:rpm/almalinux/{name}@1.0"


def told(
    grafted: list[str], components: list[tuple[str, str, str]], sboms: tuple[str, ...] = AUDITWHEEL
) -> list[str]:
    paths = [f"x.libs/{name}" for name in grafted]
    facts = wheel_facts(grafted=paths, components=components, sboms=sboms)
    subject = Subject.from_filename(
        "x-1-cp314-cp314-manylinux_2_17_x86_64.whl", facts, (), interfaces.load()
    )
    found = list(sbom.judge_sbom(subject))
    assert {finding.code for finding in found} <= {"WF329"}
    return [finding.detail for finding in found]


@pytest.mark.parametrize(
    ("grafted", "components"),
    [
        ([], []),
        (["libxml2-1a2b3c4d.so.2.9.14"], [rpm("libxml2")]),
        (["libjpeg-7e0b8f5b.so.62.4.0", "libz-aabbccdd.so.1"], [rpm("libjpeg-turbo"), rpm("zlib")]),
        # One package brought two libraries whose names say nothing of it.
        (
            ["libssl-0f0f0f0f.so.3", "libcrypto-0f0f0f0f.so.3"],
            [rpm("openssl-libs"), rpm("openssl-libs")],
        ),
        (["libstdc++-01234567.so.6"], [rpm("libstdc++")]),
    ],
)
def test_what_every_component_accounts_for_is_no_finding(
    grafted: list[str], components: list[tuple[str, str, str]]
):
    assert told(grafted, components) == []


def test_no_sbom_and_one_that_is_about_something_else():
    assert told(["libz-aabbccdd.so.1"], [], ()) == [
        "it brings libz-aabbccdd.so.1, and no SBOM says what they are"
    ]
    crates = [("memchr", "2.7", "pkg:cargo/memchr@2.7")]
    (detail,) = told(["libz-aabbccdd.so.1"], crates, ("x.dist-info/sboms/x.cyclonedx.json",))
    assert "its SBOM (x.cyclonedx.json) names none of them" in detail


def test_the_library_that_is_left_out_is_named():
    (detail,) = told(["libz-aabbccdd.so.1", "libzstd-aabbccdd.so.1"], [rpm("libzstd")])
    assert detail == "it brings 2 libraries, and its SBOM does not name libz-aabbccdd.so.1"


def test_where_names_do_not_decide_the_number_does():
    (detail,) = told(["libssl-00000000.so.3", "libcrypto-00000000.so.3"], [rpm("openssl-libs")])
    assert "does not name 1 of libcrypto-00000000.so.3, libssl-00000000.so.3" in detail


def test_of_other_tools_one_component_may_stand_for_several_libraries():
    grafted = ["libssl-00000000.so.3", "libcrypto-00000000.so.3"]
    assert told(grafted, [rpm("openssl")], ("x.dist-info/sboms/x.json",)) == []
    assert told(grafted, [rpm("openssl")], (*AUDITWHEEL, "x.dist-info/sboms/x.json")) == []


NAMES = st.lists(st.text("abcdxz-+_.0123456789", max_size=12), max_size=6)


@given(NAMES, NAMES)
def test_every_library_and_every_component_is_counted_once(
    libraries: list[str], components: list[str]
):
    unnamed, left = sbom.match_components(libraries, components)
    assert len(libraries) - len(unnamed) == len(components) - left
