import pytest

from builder.index import policy
from builder.judge.findings import Finding
from builder.judge.package import JudgedPackage, Judgement, Wheel
from builder.sources import Source
from builder.verdicts import Verdict
from builder.verdicts.codes import FindingCode

DEFAULT = ("compatible", "unproven", "gil-required")
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
