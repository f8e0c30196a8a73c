"""What a package's own tests need is no way to replace the wheel that is judged."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import OwnTests
from builder.jobs.build.own_wheels import collect_own_wheels
from builder.jobs.threads import test_requirements, test_wheels
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.untrusted.names import UntrustedNameError

JUDGED = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"


def test_the_wheel_that_is_judged_is_not_replaced_by_the_index():
    fetched = {
        JUDGED: b"from the index",
        "Foo-1.0-cp314-cp314t-manylinux_2_28_x86_64.whl": b"the same project, preferred by pip",
        "foo-2.0-py3-none-any.whl": b"the same project, newer",
        "foo_bar-1.0-py3-none-any.whl": b"another project",
    }
    needed = test_wheels.TestWheels(wheels=fetched, requirements=("foo[test]",))
    assert needed.files([JUDGED, "baz-1-py3-none-any.whl"]) == {
        "/farm/wheels/foo_bar-1.0-py3-none-any.whl": b"another project"
    }


def test_only_files_with_names_of_wheels_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output = {
        "kit/pytest-9.0-py3-none-any.whl": b"1",
        "kit/deep/er/attrs-1-py3-none-any.whl": b"2",
        "kit/evil\n.whl": b"3",
        "kit/-r.whl": b"4",
        "kit/notes.txt": b"5",
    }
    monkeypatch.setattr(test_requirements, "find_test_requirements", lambda *_: ("attrs",))
    tools = SimpleNamespace(
        store=SimpleNamespace(file=lambda _: tmp_path / "sdist"),
        say=lambda _: None,
        log=tmp_path / "log",
        stop=threading.Event(),
        engine=SimpleNamespace(run=lambda *_, **__: SimpleNamespace(output=output)),
    )
    suite = test_wheels.TestSuite(
        sdist_filename="foo-1.0.tar.gz",
        sdist_sha256="0" * 64,
        settings=OwnTests(),
        effort=EFFORTS[EffortLevel.STANDARD],
    )
    fetched = suite.fetch_wheels("image", "python", cast("Any", None), cast("Any", tools))
    assert dict(fetched.wheels) == {
        "pytest-9.0-py3-none-any.whl": b"1",
        "attrs-1-py3-none-any.whl": b"2",
    }


def test_a_line_break_in_a_recorded_name_becomes_no_constraint():
    wheel = "tool-1.0-cp314-cp314-linux_x86_64\nevil @ file:///tmp/x.whl"
    build = Evidence(
        key="k",
        job=JobId("build", "tool", "debian-12"),
        facts={"abis": {"cp314": {"wheel": wheel}}},
        files={wheel: "0" * 64},
    )
    store = cast("Any", SimpleNamespace(file=Path))
    with pytest.raises(UntrustedNameError, match="build:tool"):
        collect_own_wheels([build], ("cp314",), store)


@pytest.mark.parametrize(
    "text",
    [
        "a; python_version > 'x' and extra == 'y'",
        "a; os_name >= '1' and platform_release > '??'",
        "(" * 1500,
        "a; " + "(" * 900 + "os_name == 'posix'" + ")" * 900,
        "a" * 100_000,
    ],
)
def test_odd_lines_are_no_requirements_and_no_crash(text: str):
    assert len(list(test_requirements._parse_lines(f"{text}\nattrs>=1\n"))) <= 2


def test_odd_toml_states_nothing():
    for text in ("a" + ".a" * 50_000 + " = 1", "a = " + "[" * 50_000, "a = " + "9" * 10_000):
        assert list(test_requirements._pyproject_requirements(text)) == []


def test_where_tests_only_show_how_a_package_is_called_the_search_goes_on_without_them():
    def suite(level: EffortLevel) -> test_wheels.TestSuite:
        return test_wheels.TestSuite(
            sdist_filename="foo-1.0.tar.gz",
            sdist_sha256="0" * 64,
            settings=OwnTests(deselect={"tests/test_foo.py::test_slow": "it takes long"}),
            effort=EFFORTS[level],
        )

    none = test_wheels.TestWheels(requirements=("attrs",))
    assert suite(EffortLevel.STANDARD).is_short_of(none)
    assert not suite(EffortLevel.QUICK).is_short_of(none)
    assert suite(EffortLevel.QUICK).describe_kit(none) is None

    some = test_wheels.TestWheels(
        wheels={"pytest-9-py3-none-any.whl": b""}, requirements=("attrs",)
    )
    kit = {"requirements": ["attrs"], "deselect": ["tests/test_foo.py::test_slow"]}
    assert suite(EffortLevel.QUICK).describe_kit(some) == kit
    assert suite(EffortLevel.QUICK).make_request(some) is None
    assert suite(EffortLevel.STANDARD).make_request(some) is not None
