from dataclasses import replace

import pytest

from builder import index
from builder.config import catalog
from builder.index import constraints, policy
from builder.index.closure import close_index
from builder.judge.findings import Finding
from builder.judge.package import JudgedPackage, Judgement, Wheel
from builder.sources import Pure, Source
from builder.verdicts import Verdict
from builder.verdicts.codes import FindingCode

DEFAULT = ("compatible", "distinct", "unproven", "gil-required")
GIL = "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl"
FREE = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
ANY = "foo-1.0-py3-none-manylinux_2_17_x86_64.whl"


def wheel(filename: str) -> Wheel:
    return Wheel(
        filename=filename,
        base="debian-12",
        sha256=filename,
        floor="manylinux_2_17",
        requires_python="",
        log="",
    )


def judged(**abis: Judgement) -> JudgedPackage:
    source = Source(name="foo", version="1.0", kind="index", filename="foo-1.0.tar.gz", sha256="0")
    return JudgedPackage(name="foo", version="1.0", source=source, abis=abis)


def judgement(abi: str, verdict: Verdict, filename: str, **more: object) -> Judgement:
    return Judgement(abi=abi, verdict=verdict, reason="why", wheels=(wheel(filename),), **more)  # type: ignore[arg-type]


def test_each_abi_is_served_by_its_own_verdict():
    package = judged(
        cp314=judgement("cp314", Verdict.COMPATIBLE, GIL),
        cp314t=judgement("cp314t", Verdict.THREAD_UNSAFE, FREE),
    )
    served, quarantined = policy.assign_channels([package], DEFAULT)
    assert [file.filename for file in served] == [GIL]
    assert [(file.filename, file.yanked) for file in quarantined] == [
        (FREE, "thread-unsafe on cp314t: why")
    ]


def test_a_wheel_that_every_abi_takes_needs_the_leave_of_all():
    package = judged(
        cp314=judgement("cp314", Verdict.COMPATIBLE, ANY),
        cp314t=judgement("cp314t", Verdict.RACY, ANY),
    )
    served, quarantined = policy.assign_channels([package], DEFAULT)
    assert not served
    assert {file.filename for file in quarantined} == {ANY}


def test_a_wheel_that_no_abi_takes_needs_the_leave_of_the_one_it_was_made_for():
    odd = "foo-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"
    package = judged(cp314=judgement("cp314", Verdict.ABI_MISMATCH, odd))
    served, quarantined = policy.assign_channels([package], DEFAULT)
    assert not served
    assert [file.yanked for file in quarantined] == ["abi-mismatch on cp314: why"]


def test_a_wheel_of_another_package_is_in_no_channel():
    package = judged(cp314=judgement("cp314", Verdict.COMPATIBLE, GIL.replace("foo", "numpy")))
    assert policy.assign_channels([package], DEFAULT) == ([], [])


@pytest.mark.parametrize(
    ("codes", "loaded", "admitted"),
    [
        (["WF901"], ("debian-12",), True),
        (["WF901"], (), False),
        (["WF901", "WF902"], ("debian-12",), False),
        (["WF303"], ("debian-12",), False),
    ],
)
def test_only_a_missing_base_is_forgiven(
    codes: list[FindingCode], loaded: tuple[str, ...], *, admitted: bool
):
    findings = tuple(Finding(code=code, detail="x") for code in codes)
    one = judgement("cp314", Verdict.UNDETERMINED, GIL, findings=findings, loaded_on=loaded)
    assert policy.is_admitted(one, DEFAULT) is admitted
    assert policy.is_admitted(one, (*DEFAULT, "undetermined"))


def test_each_version_of_a_project_is_served_by_its_own_verdict():
    packages: list[JudgedPackage] = []
    for version, verdict in (
        ("1.0", Verdict.RACY),
        ("2.0", Verdict.COMPATIBLE),
        ("3.0", Verdict.RACY),
    ):
        filename = FREE.replace("1.0", version, 1)
        source = Source(
            name=f"foo=={version}",
            version=version,
            kind="index",
            filename=f"foo-{version}.tar.gz",
            sha256="0",
        )
        abis = {"cp314t": judgement("cp314t", verdict, filename)}
        packages.append(JudgedPackage(name=source.name, version=version, source=source, abis=abis))

    served, quarantined = policy.assign_channels(packages, DEFAULT)
    assert [file.filename for file in served] == [FREE.replace("1.0", "2.0", 1)]
    assert len(quarantined) == 2
    assert policy.collect_remarks(packages) == {"cp314t": {"foo": "1.0: racy: why; 3.0: racy: why"}}


# --- what it needs ----------------------------------------------------------------------------------------------------

ABIS = [catalog.load().abis[name] for name in ("cp314", "cp314t")]
OTHER = Pure(
    name="aio",
    version="3.0",
    filename="aio-3.0-py3-none-any.whl",
    sha256="aio",
    requires=("bar>=1",),
)


def native(name: str, verdict: Verdict, *needs: str, pure: tuple[Pure, ...] = ()) -> JudgedPackage:
    """Return a package that is compatible on cp314, and has this verdict on cp314t."""
    source = Source(
        name=name, version="1.0", kind="index", filename=f"{name}-1.0.tar.gz", sha256="0", needs=needs, pure=pure
    )  # fmt: skip
    abis = {
        "cp314": judgement("cp314", Verdict.COMPATIBLE, GIL.replace("foo", name)),
        "cp314t": judgement("cp314t", verdict, FREE.replace("foo", name)),
    }
    return JudgedPackage(name=name, version="1.0", source=source, abis=abis)


def served_names(packages: list[JudgedPackage]) -> tuple[set[str], dict[str, str]]:
    """Return what is served, and why the rest is not, by file name, once the index is closed."""
    closure = close_index(packages, DEFAULT, ABIS)
    served, quarantined = policy.assign_channels(closure.packages, DEFAULT, closure.withheld)
    return {file.filename for file in served}, {file.filename: file.yanked for file in quarantined}


def test_what_lacks_a_requirement_is_held_back_where_it_does():
    packages = [
        native("foo", Verdict.COMPATIBLE, "bar"),
        native("baz", Verdict.COMPATIBLE, "foo"),
        native("bar", Verdict.RACY),
    ]
    served, refused = served_names(packages)
    assert served == {GIL.replace("foo", name) for name in ("foo", "bar", "baz")}
    assert refused == {
        FREE: "held back on cp314t: it needs bar, which is in quarantine on cp314t (racy)",
        FREE.replace("foo", "bar"): "racy on cp314t: why",
        FREE.replace(
            "foo", "baz"
        ): "held back on cp314t: it needs foo, which is held back on cp314t itself",
    }

    foo = close_index(packages, DEFAULT, ABIS).packages[0].abis["cp314t"]
    assert foo.verdict is Verdict.COMPATIBLE
    assert [finding.code for finding in foo.findings] == ["WF418"]


def test_what_needs_one_another_is_served():
    packages = [native("foo", Verdict.DISTINCT, "bar"), native("bar", Verdict.COMPATIBLE, "foo")]
    served, refused = served_names(packages)
    assert (len(served), refused) == (4, {})


def test_what_is_not_known_cannot_be_served():
    _, refused = served_names([native("foo", Verdict.COMPATIBLE, "bar")])
    assert refused[FREE] == "held back on cp314t: it needs bar, of which nothing is known on cp314t"


def test_a_pure_wheel_is_not_pinned_where_it_lacks_what_it_needs():
    packages = [
        native("foo", Verdict.COMPATIBLE, pure=(OTHER,)),
        native("bar", Verdict.RACY),
    ]
    served, refused = served_names(packages)
    assert OTHER.filename in served
    assert FREE in refused

    closure = close_index(packages, DEFAULT, ABIS)
    remarks = policy.collect_remarks(closure.packages, closure.withheld)
    why = "held back: aio needs bar, which is in quarantine on cp314t (racy)"
    assert remarks["cp314t"]["aio"] == why
    entries = [index.Entry(filename=name, sha256=name) for name in served]
    rendered = dict(
        constraints.render(
            index.make_manifest(entries), ["cp314", "cp314t"], remarks, closure.withheld
        )
    )
    assert "\naio==3.0\n" in rendered["cp314.txt"]
    assert f"\n#   aio: {why}\n" in rendered["cp314t.txt"]


def test_a_pure_wheel_that_can_be_installed_nowhere_is_not_served():
    packages = [native("foo", Verdict.COMPATIBLE, pure=(OTHER,)), native("bar", Verdict.RACY)]
    packages[1].abis["cp314"] = judgement("cp314", Verdict.RACY, GIL.replace("foo", "bar"))  # type: ignore[index]
    served, refused = served_names(packages)
    assert served == set()
    assert set(refused) == {GIL, FREE, GIL.replace("foo", "bar"), FREE.replace("foo", "bar")}


def test_a_requirement_that_does_not_apply_keeps_nothing_back():
    windows = replace(
        OTHER, requires=('bar; sys_platform == "win32"', "unheard-of", "bar; extra == 'x'")
    )
    packages = [native("foo", Verdict.COMPATIBLE, pure=(windows,)), native("bar", Verdict.RACY)]
    served, _ = served_names(packages)
    assert {FREE, OTHER.filename} <= served
