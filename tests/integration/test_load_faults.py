"""Packages that build well and show what they are only when they are loaded: each gets exactly its findings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from builder.errors import ExitCode
from builder.store.job_ids import JobKind
from builder.store.store import Store
from tests.integration.conftest import Workshop

# By package: verdicts and codes on cp314, then on cp314t. Infos are in brackets.
EXPECTED = {
    "pebble": (("compatible", "[WF504]"), ("unproven", "[WF504]")),
    "quarry": (("import-failure", "WF403"), ("import-failure", "WF403")),
    "gravel": (("import-failure", "WF409"), ("import-failure", "WF409")),
    "harbor": (("import-failure", "WF404"), ("import-failure", "WF404")),
    "lantern": (("compatible", "[WF411]"), ("unproven", "[WF411]")),
    "meadow": (("compatible", "WF506"), ("unproven", "WF506")),
    "cobble": (("compatible", "WF416 [WF505]"), ("unproven", "WF416 [WF505]")),
    "willow": (("compatible", "WF407"), ("unproven", "WF407")),
    "thicket": (("thread-unsafe", "WF413"), ("thread-unsafe", "WF413")),
    "saffron": (("compatible", ""), ("gil-required", "WF501 WF503")),
    "juniper": (("import-failure", "WF408"), ("import-failure", "WF408")),
    "tundra": (("compatible", ""), ("gil-required", "WF501")),
    "bundle": (("compatible", "[WF505]"), ("gil-required", "WF502 [WF505]")),
    "latchkey": (("compatible", "[WF505]"), ("gil-required", "WF501 [WF505]")),
    "thirsty": (("build-failure", "WF202"), ("build-failure", "WF202")),
}
MATRIX = '[farm]\nbases = ["debian-12"]\n' + "".join(
    f'[packages.{name}]\nsdist = "{name}-1.0.tar.gz"\n' for name in EXPECTED
)


@pytest.fixture(scope="module")
def shop(images: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    assert images
    shop = Workshop(root=tmp_path_factory.mktemp("loads"))
    shop.write(MATRIX, *EXPECTED)
    ended = shop.run()
    assert ended.returncode == ExitCode.FAULTS, ended.stdout + ended.stderr
    return shop


@pytest.fixture
def packages(shop: Workshop) -> dict[str, dict[str, Any]]:
    return shop.verdicts()


def codes(abi: dict[str, Any]) -> str:
    """Return the codes of an ABI's findings, once each and in order, infos in brackets."""
    infos = sorted(
        {finding["code"] for finding in abi["findings"] if finding["severity"] == "info"}
    )
    others = sorted(
        {finding["code"] for finding in abi["findings"] if finding["severity"] != "info"}
    )
    return " ".join((*others, *(f"[{code}]" for code in infos)))


@pytest.mark.parametrize("name", EXPECTED)
def test_each_gets_its_verdict_and_exactly_its_findings(
    packages: dict[str, dict[str, Any]], name: str
):
    abis = packages[name]["abis"]
    assert tuple((abi["verdict"], codes(abi)) for abi in abis.values()) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("quarry", "WF403", ["SIGSEGV", "quarry/__init__.py:3", "_core.cpython-314t"]),
        ("gravel", "WF409", ["SIGABRT", "-X dev"]),
        ("harbor", "WF404", ["no end within", "harbor/__init__.py:3", "nanosleep"]),
        ("thicket", "WF413", ["SIGSEGV", "eight threads", "_core.cpython-314t"]),
        ("lantern", "WF411", ["DeprecationWarning", "twice() is deprecated"]),
        ("willow", "WF407", ["willow._leaf", "no wood"]),
        ("cobble", "WF416", ["the registry exists"]),
        ("meadow", "WF506", ["meadow._core", "index out of range"]),
        ("juniper", "WF408", ["<3.14", "everything imports"]),
        ("saffron", "WF503", ["3 - Stable", "saffron._core"]),
        ("saffron", "WF501", ["no slot Py_mod_gil"]),
        ("tundra", "WF501", ["tundra._core", "warning of it is swallowed"]),
    ],
)
def test_the_detail_says_where_and_why(
    packages: dict[str, dict[str, Any]], name: str, code: str, words: list[str]
):
    findings = [one for one in packages[name]["abis"]["cp314t"]["findings"] if one["code"] == code]
    text = " ".join(f"{one['where']} {one['detail']}" for one in findings)
    for word in words:
        assert word in text


def test_what_a_build_missed_is_answered_with_the_line_to_write(
    packages: dict[str, dict[str, Any]],
):
    (finding,) = packages["thirsty"]["abis"]["cp314"]["findings"]
    assert 'set apt = ["libexpat1-dev"] in [packages.thirsty]' in finding["remedy"]
    assert "libexpat1-dev has /usr/include/expat.h" in finding["remedy"]


def test_a_failure_that_other_rules_read_is_read_anew_without_a_build(shop: Workshop):
    store = Store(shop.wheelhouse)
    recorded = next(
        one for one in store.newest_evidence_of("thirsty") if one.job.kind == JobKind.BUILD
    )
    other = json.loads(
        json.dumps(recorded.facts).replace("a header is missing", "something happened")
    )
    assert other != recorded.facts
    store.put(replace(recorded, facts={**other, "rules": "other"}))
    store.close()
    ended = shop.run("--only", "thirsty", "--json")
    (package,) = json.loads(ended.stdout)["packages"]
    assert {one["detail"] for abi in package["abis"].values() for one in abi["findings"]} == {
        "a header is missing: expat.h"
    }
    assert "start  build:" not in ended.stderr
