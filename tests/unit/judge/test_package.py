import json
from dataclasses import replace
from typing import Any

import pytest

from builder.config import catalog
from builder.judge import interfaces
from builder.judge.package import Judgement, judge_fault, judge_package
from builder.judge.package_evidence import PackageEvidence
from builder.sources import Fault, Source
from builder.store.evidence import Evidence, JobOutcome
from builder.store.hashing import digest
from builder.verdicts import Verdict
from builder.verdicts.codes import FindingCode
from tests.job_ids import job_id
from tests.unit.facts import native_object

ABIS = tuple(catalog.load().abis.values())
BASES = tuple(base for base in catalog.load().bases.values() if base.enabled)
SOURCE = Source(name="foo", version="1.0", kind="index", filename="foo-1.0.tar.gz", sha256="0" * 64)


def wheel(abi: str, platform: str = "manylinux_2_17_x86_64") -> str:
    return f"foo-1.0-cp314-{abi}-{platform}.whl"


def build(**abis: Any) -> Evidence:
    facts = {
        "abis": {abi: {"wheel": wheel(abi), "requires_python": ""} for abi in ("cp314", "cp314t")}
        | abis,
        "limits": {},
    }
    files = {str(made["wheel"]): "1" * 64 for made in facts["abis"].values() if "wheel" in made}
    return Evidence(key="b", job=job_id("build:foo@debian-12"), facts=facts, files=files)


def audit(tag: str = "manylinux_2_17_x86_64", suffix: str | None = None) -> Evidence:
    wheels = {}
    for abi in ABIS:
        full = f"{suffix or abi.suffix}-x86_64-linux-gnu"
        wheels[wheel(abi.name)] = {
            "faults": [], "size": 1, "members": 5, "dist_info": "foo-1.0.dist-info", "bytecode": [], "sboms": [], "components": [], "grafted": [],
            "metadata": {"name": ["foo"], "version": ["1.0"]}, "top_level": {"foo": "package"}, "objects": {"foo/_x.bin": {"damaged": "it is no ELF file"}},
            "wheel": {"wheel-version": ["1.0"], "tag": [f"cp314-{abi.name}-manylinux_2_17_x86_64"]},
            "extensions": {f"foo/_x.{full}.so": full}, "auditwheel": {"overall_tag": tag},
        }  # fmt: skip
    return Evidence(key="a", job=job_id("audit:foo@debian-12"), facts={"wheels": wheels})


def module(name: str, **more: object) -> dict[str, object]:
    return {
        "module": name,
        "native": True,
        "gil": {"before": False, "after": False, "enabled_by": None},
        **more,
    }


def load(
    *modules: dict[str, object], install: str | None = None, missing: tuple[str, ...] = ()
) -> Evidence:
    answer = {
        "claimed": True, "missing": list(missing), "install": install, "modules": list(modules) or [module("foo")],
    }  # fmt: skip
    return Evidence(
        key="l",
        job=job_id("load:x"),
        facts={"loads": {abi.name: {"wheel": wheel(abi.name), **answer} for abi in ABIS}},
    )


def judged(
    built: Evidence,
    audited: Evidence | None = None,
    loaded: Evidence | None = None,
    abi: str = "cp314t",
) -> Judgement:
    evidence = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": built},
        audits={"debian-12": audited or audit()},
        loads={("debian-12", "debian-13"): loaded or load()},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    return judge_package(evidence, ABIS).abis[abi]


UNTOLD = Evidence(
    key="",
    job=job_id("load:x"),
    outcome=JobOutcome.UNDETERMINED,
    reason="base debian-13 could not be had: no archive",
    facts={"code": "WF901"},
)
FAILURE = {
    "failure": {
        "code": "WF202",
        "stage": "building wheel",
        "error": "a header is missing: x.h",
        "remedy": "add x",
    }
}


def test_a_good_package_is_compatible_and_without_threads_unproven():
    assert judged(build(), abi="cp314").verdict is Verdict.COMPATIBLE
    unproven = judged(build())
    assert unproven.verdict is Verdict.UNPROVEN
    assert "none of its native code was exercised" in unproven.reason
    assert unproven.loaded_on == ("debian-13",)


PURE = "foo-1.0-py3-none-any.whl"


def audit_of_pure(**objects: object) -> Evidence:
    facts: dict[str, Any] = {
        "faults": [], "size": 1, "members": 5, "dist_info": "foo-1.0.dist-info", "bytecode": [], "sboms": [],
        "components": [], "grafted": [], "metadata": {"name": ["foo"], "version": ["1.0"]}, "top_level": {"foo": "package"},
        "objects": objects, "wheel": {"wheel-version": ["1.0"], "tag": ["py3-none-any"], "root-is-purelib": ["true"]},
        "extensions": {}, "auditwheel_error": "this does not look like a platform wheel",
    }  # fmt: skip
    return Evidence(key="a", job=job_id("audit:foo@debian-12"), facts={"wheels": {PURE: facts}})


def load_of_pure() -> Evidence:
    facts = {
        abi.name: {
            "wheel": PURE,
            "claimed": True,
            "missing": [],
            "install": None,
            "modules": [{**module("foo"), "native": False}],
        }
        for abi in ABIS
    }
    return Evidence(key="l", job=job_id("load:x"), facts={"loads": facts})


def judge_pure(audited: Evidence, *, is_pure: bool, abi: str = "cp314t") -> Judgement:
    made = {"wheel": PURE, "requires_python": ""}
    evidence = PackageEvidence(
        source=replace(SOURCE, is_pure=is_pure),
        builds={"debian-12": build(cp314=made, cp314t=made)},
        audits={"debian-12": audited},
        loads={("debian-12", "debian-13"): load_of_pure()},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    return judge_package(evidence, ABIS).abis[abi]


@pytest.mark.parametrize("abi", ["cp314", "cp314t"])
def test_a_pure_wheel_made_from_an_sdist_needs_no_threads(abi: str):
    judgement = judge_pure(audit_of_pure(), is_pure=True, abi=abi)
    assert judgement.verdict is Verdict.COMPATIBLE
    assert [finding.code for finding in judgement.findings] == []
    assert judgement.reason == "pure Python, built as any, imports on debian-13"
    assert [item.filename for item in judgement.wheels] == [PURE]


def test_a_pure_wheel_of_a_package_with_native_sources_is_told():
    judgement = judge_pure(audit_of_pure(), is_pure=False)
    assert "WF224" in [finding.code for finding in judgement.findings]


def test_a_wheel_that_only_calls_itself_pure_is_not_served():
    judgement = judge_pure(audit_of_pure(**{"foo/_x.so": native_object()}), is_pure=True)
    assert judgement.verdict is Verdict.ABI_MISMATCH
    assert "WF312" in [finding.code for finding in judgement.findings]


@pytest.mark.parametrize(
    ("evidence", "verdict", "word"),
    [
        ({"built": build(cp314t=FAILURE)}, Verdict.BUILD_FAILURE, "x.h"),
        (
            {"loaded": load(install="no matching distribution")},
            Verdict.IMPORT_FAILURE,
            "no matching",
        ),
        ({"loaded": load(missing=("bar",))}, Verdict.IMPORT_FAILURE, "bar"),
        (
            {"loaded": load(module("foo", error="ImportError: no"))},
            Verdict.IMPORT_FAILURE,
            "ImportError",
        ),
        ({"loaded": load(module("foo", signal="SIGSEGV"))}, Verdict.IMPORT_FAILURE, "SIGSEGV"),
        ({"loaded": load(module("foo", hang="no end"))}, Verdict.IMPORT_FAILURE, "no end"),
        ({"loaded": UNTOLD}, Verdict.UNDETERMINED, "could not be had"),
        ({"audited": audit(suffix="cpython-313")}, Verdict.ABI_MISMATCH, "cpython-313"),
        ({"audited": audit(tag="manylinux_2_34_x86_64")}, Verdict.ABI_MISMATCH, "glibc 2.34"),
    ],
)
def test_each_fact_forces_its_verdict(evidence: dict[str, Evidence], verdict: Verdict, word: str):
    whole: dict[str, Any] = {"built": build(), **evidence}
    result = judged(**whole)
    assert result.verdict is verdict
    assert word in result.reason


def rename(evidence: Evidence, old: str, new: str) -> Evidence:
    """Return evidence that speaks of another wheel."""
    facts = json.loads(json.dumps(evidence.facts).replace(old, new))
    files = {name.replace(old, new): sha256 for name, sha256 in evidence.files.items()}
    return replace(evidence, facts=facts, files=files)


@pytest.mark.parametrize("other", ["numpy-1.0-", "foo-9.0-"])
def test_a_wheel_of_another_package_counts_as_none(other: str):
    result = judged(
        rename(build(), "foo-1.0-", other),
        rename(audit(), "foo-1.0-", other),
        rename(load(), "foo-1.0-", other),
        abi="cp314",
    )
    assert result.verdict is Verdict.BUILD_FAILURE
    assert "it is no wheel of foo 1.0" in result.reason
    assert [finding.code for finding in result.findings] == ["WF215"]
    assert (result.wheels, result.loaded_on) == ((), ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name": ["foo"]', '"name": ["numpy"]'),
        ('"name": ["foo"]', '"name": ["foo", "numpy"]'),
        ('"version": ["1.0"]', '"version": ["2.0"]'),
        ("foo-1.0.dist-info", "numpy-1.0.dist-info"),
    ],
)
def test_a_wheel_that_says_inside_that_it_is_another_counts_as_none(old: str, new: str):
    result = judged(build(), rename(audit(), old, new), abi="cp314")
    assert result.verdict is Verdict.BUILD_FAILURE
    assert result.wheels == ()


def test_a_foreign_wheel_on_one_base_does_not_speak_for_another():
    case = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": rename(build(), "foo-1.0-", "numpy-1.0-"), "debian-13": build()},
        audits={"debian-12": rename(audit(), "foo-1.0-", "numpy-1.0-"), "debian-13": audit()},
        loads={
            ("debian-12", "debian-12"): rename(load(), "foo-1.0-", "numpy-1.0-"),
            ("debian-13", "debian-13"): load(),
        },
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    result = judge_package(case, ABIS).abis["cp314"]
    assert result.verdict is Verdict.COMPATIBLE
    assert [made.filename for made in result.wheels] == [wheel("cp314")]
    assert result.loaded_on == ("debian-13",)


def loads_nothing(**changes: Any) -> Evidence:
    facts = json.loads(json.dumps(load().facts))
    for answer in facts["loads"].values():
        answer.update(changes)
    return replace(load(), facts=facts)


@pytest.mark.parametrize(
    ("loaded", "words"),
    [
        (loads_nothing(claimed=False), "its tags do not claim to run there"),
        (loads_nothing(modules=[]), "none of its modules was imported"),
        (replace(load(), facts={"loads": {}}), "no wheel of the package was there to load"),
    ],
)
def test_what_was_imported_nowhere_is_undetermined(loaded: Evidence, words: str):
    for abi in ("cp314", "cp314t"):
        result = judged(build(), loaded=loaded, abi=abi)
        assert result.verdict is Verdict.UNDETERMINED
        assert words in result.reason
        assert [finding.code for finding in result.findings] == ["WF417"]


def test_a_package_without_any_load_is_undetermined():
    case = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": build()},
        audits={"debian-12": audit()},
        loads={},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    assert judge_package(case, ABIS).abis["cp314"].verdict is Verdict.UNDETERMINED


def test_an_abi_that_a_build_says_nothing_of_is_undetermined():
    built = replace(build(), facts={"abis": {}, "limits": {}}, files={})
    assert (
        judged(built, loaded=replace(load(), facts={"loads": {}})).verdict is Verdict.UNDETERMINED
    )


def test_the_module_that_turns_the_gil_on_is_named():
    gil = {"before": False, "after": True, "enabled_by": "foo._late"}
    result = judged(build(), loaded=load(module("foo", gil=gil)))
    assert result.verdict is Verdict.GIL_REQUIRED
    assert "foo._late" in result.reason
    late = judged(build(), loaded=load(module("foo"), module("foo._late", gil=gil)))
    assert [finding.code for finding in late.findings] == ["WF502"]


def test_a_build_that_went_on_without_what_it_asked_for_is_remarked_on():
    built = build()
    asked = replace(built, facts={**built.facts, "asked": ["files.example:443"]})
    result = judged(asked, abi="cp314")
    assert result.verdict is Verdict.COMPATIBLE
    (finding,) = result.findings
    assert finding.code == "WF214"
    assert "files.example:443" in finding.detail


def test_an_unknown_replaces_good_verdicts_and_leaves_shown_faults_standing():
    assert judged(build(), loaded=UNTOLD, abi="cp314").verdict is Verdict.UNDETERMINED
    gil = {"before": False, "after": True, "enabled_by": "foo"}
    case = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": build()},
        audits={"debian-12": audit()},
        loads={
            ("debian-12", "debian-12"): load(module("foo", gil=gil)),
            ("debian-12", "debian-13"): UNTOLD,
        },
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    assert judge_package(case, ABIS).abis["cp314t"].verdict is Verdict.GIL_REQUIRED


def test_a_failure_on_one_base_does_not_hide_the_wheel_of_another():
    case = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": build(), "ubuntu-24.04": build(cp314t=FAILURE)},
        audits={"debian-12": audit(), "ubuntu-24.04": audit()},
        loads={("debian-12", "debian-12"): load()},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    result = judge_package(case, ABIS).abis["cp314t"]
    assert result.verdict is Verdict.UNPROVEN
    assert [finding.code for finding in result.findings] == ["WF202"]


def test_a_module_that_needs_an_optional_package_is_no_failure():
    result = judged(
        build(),
        loaded=load(
            module("foo"), module("foo.np", error="ModuleNotFoundError: numpy", missing="numpy")
        ),
    )
    assert result.verdict is Verdict.UNPROVEN
    assert [finding.code for finding in result.findings] == ["WF406"]


def test_what_is_seen_on_several_bases_is_one_finding():
    broken = load(module("foo", error="ImportError: no"))
    case = PackageEvidence(
        source=SOURCE,
        builds={"debian-12": build()},
        audits={"debian-12": audit()},
        loads={("debian-12", "debian-12"): broken, ("debian-12", "debian-13"): broken},
        skip={},
        bases=BASES,
        interfaces=interfaces.load(),
    )
    (finding,) = judge_package(case, ABIS).abis["cp314"].findings
    assert finding.bases == ("debian-12", "debian-13")


@pytest.mark.parametrize(
    ("code", "verdict"), [("WF101", Verdict.BUILD_FAILURE), ("WF106", Verdict.UNDETERMINED)]
)
def test_a_package_without_a_source_has_a_verdict(code: FindingCode, verdict: Verdict):
    result = judge_fault(Fault(name="foo", code=code, detail="why"), ABIS).abis["cp314"]
    assert result.verdict is verdict
    assert "why" in result.reason


def test_a_finding_keeps_its_id_from_run_to_run():
    failing = load(module("foo", error="x"))
    first = judged(build(), loaded=failing).findings[0]
    again = judged(build(), loaded=failing).findings[0]
    other_abi = judged(build(), loaded=failing, abi="cp314").findings[0]

    assert (first.package, first.version, first.abi) == ("foo", "1.0", "cp314t")
    assert first.id == again.id
    assert first.id != other_abi.id
    assert (
        first.id == digest("foo", "1.0", "cp314t", "WF402", "foo")[:12]
    )  # as replays and links of older reports have it


def test_a_wheel_that_comes_out_otherwise_is_told_and_no_worse():
    rebuilt = {wheel("cp314"): [], wheel("cp314t"): ["foo/_x.so"]}
    built = build()
    told = Evidence(
        key="b", job=built.job, facts={**built.facts, "rebuilt": rebuilt}, files=built.files
    )
    finding = next(one for one in judged(told).findings if one.code == "WF212")
    assert "foo/_x.so" in finding.detail
    assert judged(told).verdict is judged(built).verdict
    assert not any(one.code == "WF212" for one in judged(told, abi="cp314").findings)
