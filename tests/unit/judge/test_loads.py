from typing import Any

import pytest

from builder.evidence.load import AbiLoad
from builder.judge import codes as finding_codes
from builder.judge.findings import Finding
from builder.judge.import_remedies import Neighbours
from builder.judge.loads import judge_load
from builder.judge.location import Location
from builder.verdicts import Severity, Verdict

QUIET: dict[str, Any] = {"lines": [], "warnings": []}
DECLARED = {"init": "multi-phase", "gil": "not-used", "interpreters": "own-gil"}
STACK = {
    "native": ["+0x1 in libc.so.6", "frobnicate+0x2 in _x.so"],
    "python": ["foo/__init__.py:3 in <module>"],
}
GIL_ON = {"before": False, "after": True, "enabled_by": "foo._x", "warned": True}


def module(name: str = "foo", **more: Any) -> dict[str, Any]:
    gil = {"before": False, "after": False, "enabled_by": None, "warned": False}
    return {"module": name, "native": False, "gil": gil, "natives": {"foo._x": DECLARED}, **more}


def facts(*modules: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    metadata = {"requires_python": "", "requires_python_ignored": False, "free_threading": None}
    quiet = dict.fromkeys(("walk", "dev", "strict", "threads", "again", "subinterpreters"), QUIET)
    whole: dict[str, Any] = {
        "wheel": "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl",
        "claimed": True,
        "missing": [],
        "install": None,
        "python_version": "3.14.5",
        "metadata": metadata,
        **quiet,
    }
    return {**whole, "modules": list(modules) or [module()], **conditions}


def raised(error: str = "ValueError: no", name: str = "foo._x", **more: Any) -> dict[str, Any]:
    return {"lines": [{"module": name, "error": error, **more}], "warnings": []}


def findings(given: dict[str, Any]) -> list[Finding]:
    return list(judge_load(AbiLoad.model_validate(given), "foo"))


def codes(given: dict[str, Any]) -> list[str]:
    return [finding.code for finding in findings(given)]


DIED = {**QUIET, "signal": "SIGSEGV", "during": "foo._x", "stack": STACK}
HUNG = {**QUIET, "hang": "no end within 60 s", "during": "foo._x", "stack": STACK}
IN_ROUND: dict[str, Any] = {"round": 1, "failed": "foo._x"}


def remedy(error: str, *extra_of: str, missing: str | None = None, **modules: str) -> str:
    load = AbiLoad.model_validate(facts(module(error=error, missing=missing)))
    brought = {name: tuple(packages.split()) for name, packages in modules.items()}
    (finding,) = judge_load(load, "foo", Neighbours(extra_of=extra_of, modules=brought))
    assert finding.code == "WF402"
    return finding.remedy


@pytest.mark.parametrize(
    "error",
    [
        "ImportError: the bar package should be imported before foo",
        "RuntimeError: bar must be imported first",
        "ImportError: please import bar before foo",
    ],
)
def test_a_package_that_asks_for_another_one_first_gets_the_key_for_it(error: str):
    expected = 'try `import-after = ["bar"]` in [packages.foo], which imports bar first'
    assert remedy(error) == expected
    assert remedy(error, "other") == expected


def test_an_extra_of_another_package_is_told_that_it_is_one():
    assert remedy("ImportError: no") == ""
    assert '`import-after = ["bar"]` in [packages.foo]' in remedy("ImportError: no", "bar")
    assert remedy("ImportError: foo must be imported first") == ""


LACKS = "ModuleNotFoundError: No module named 'ruamel'"


def test_a_module_that_another_package_of_the_run_brings_gets_the_key_for_that():
    """ruamel.yaml.clib does not say that it needs ruamel.yaml."""
    found = remedy(LACKS, missing="ruamel", ruamel="ruamel-yaml")
    assert found.startswith(
        'try `import-after = ["ruamel-yaml"]` in [packages.foo]: ruamel-yaml brings ruamel'
    )


def test_of_several_that_bring_it_the_one_with_the_extra_is_meant_or_nobody_can_tell():
    assert '["two"]' in remedy(LACKS, "two", missing="ruamel", ruamel="one two")
    assert "name that package in `import-after` in [packages.foo]" in remedy(
        LACKS, missing="ruamel", ruamel="one two"
    )


def test_a_module_that_nobody_brings_is_named():
    found = remedy(LACKS, missing="ruamel.yaml")
    assert found.startswith("it needs ruamel of another package")


@pytest.mark.parametrize(
    "missing", ["distutils", "foo._core", "_tkinter", "no\nname", "x" * 61, None]
)
def test_what_no_package_brings_gets_no_advice_about_packages(missing: str | None):
    assert remedy("ModuleNotFoundError: no", missing=missing) == ""
    assert remedy("ModuleNotFoundError: no", missing=missing, foo="foo") == ""


def test_nothing_to_say_of_a_module_that_takes_everything():
    assert codes(facts()) == []


@pytest.mark.parametrize(
    ("condition", "answer", "code"),
    [
        ("walk", DIED, "WF403"),
        ("dev", DIED, "WF409"),
        ("dev", raised(), "WF410"),
        ("strict", DIED, "WF412"),
        ("strict", raised(), "WF412"),
        ("threads", DIED, "WF413"),
        ("threads", HUNG, "WF413"),
        ("threads", raised(), "WF414"),
        ("again", DIED, "WF415"),
        ("again", HUNG, "WF415"),
        ("again", raised(), "WF416"),
        ("subinterpreters", DIED, "WF507"),
        ("subinterpreters", raised(**IN_ROUND), "WF506"),
    ],
)
def test_each_condition_has_codes_of_its_own(condition: str, answer: dict[str, Any], code: str):
    assert codes(facts(**{condition: answer})) == [code]


@pytest.mark.parametrize("condition", ["dev", "strict", "threads", "again"])
def test_what_a_plain_import_raises_too_is_no_matter_of_the_condition(condition: str):
    same = raised()
    assert codes(facts(walk=same, **{condition: same})) == []


def test_only_a_crash_that_an_ordinary_import_shares_or_that_needs_threads_forces_a_verdict():
    forced = {
        code: row.verdict
        for code, row in finding_codes.load().items()
        if code in {"WF409", "WF410", "WF412", "WF413", "WF414", "WF415", "WF416", "WF507"}
    }
    assert forced.pop("WF409") is Verdict.IMPORT_FAILURE
    assert forced.pop("WF413") is Verdict.THREAD_UNSAFE
    assert set(forced.values()) == {None}


def test_after_damage_to_memory_there_are_no_other_conditions():
    cut = facts(dev=DIED)
    for condition in ("strict", "threads", "again", "subinterpreters"):
        del cut[condition]
    assert codes(cut) == ["WF409"]


def test_a_crash_tells_where():
    (finding,) = findings(facts(module(signal="SIGSEGV", stack=STACK)))
    assert finding.detail == (
        "importing foo dies of SIGSEGV, in +0x1 in libc.so.6 < frobnicate+0x2 in _x.so, called from foo/__init__.py:3 in <module>"
    )


def test_a_module_that_fails_alone_but_not_after_the_others_depends_on_order():
    late = module("foo._y", error="ImportError: no")
    assert codes(facts(module(), late)) == ["WF407"]
    assert codes(facts(module(), late, walk=raised("ImportError: no", "foo._y"))) == ["WF402"]


def test_a_version_that_the_farm_does_not_have_can_be_added():
    error = (
        "Could not find a version that satisfies the requirement protobuf<7,>=6.32.1"
        " (from snowflake-connector-python) (from versions: 7.36.2)"
    )
    (finding,) = findings(facts(install=error, modules=[]))
    assert finding.code == "WF401"
    assert finding.remedy == (
        "it needs protobuf<7,>=6.32.1, and the farm has 7.36.2: add one that fits to the matrix, "
        'as [packages."protobuf==VERSION"] beside the table that is there'
    )
    missing = error.replace("7.36.2", "none")
    assert [finding.remedy for finding in findings(facts(install=missing, modules=[]))] == [""]


def test_a_further_top_level_module_may_need_what_an_extra_brings():
    error = "ImportError: aiohttp is not installed; caused by ModuleNotFoundError: No module named 'aiohttp'"
    server = module("food", error=error, missing="aiohttp")
    assert codes(facts(module(), server)) == ["WF406"]
    assert codes(facts(module(error=error, missing="aiohttp"), server)) == ["WF402", "WF402"]
    assert codes(facts(module("bar"), server)) == ["WF402"]
    assert codes(facts(module(), module("food", error="ImportError: no"))) == ["WF402"]


def test_so_does_one_that_works_after_the_module_that_imports_it():
    circular = module("foo._y", error="ImportError: no", after="foo.user")
    (finding,) = findings(facts(module(), circular, walk=raised("ImportError: no", "foo._y")))
    assert finding.code == "WF407"
    assert finding.detail.endswith("ImportError: no (not after foo.user, which imports it)")


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({**DECLARED, "gil": None}, "(it has no slot Py_mod_gil)"),
        ({**DECLARED, "gil": "used"}, "(its slot Py_mod_gil says that it uses the GIL)"),
        (
            {"init": "single-phase", "gil": None, "interpreters": None},
            "(single-phase initialisation",
        ),
    ],
)
def test_why_the_gil_is_turned_on(declared: dict[str, Any], why: str):
    first = next(iter(findings(facts(module(gil=GIL_ON, natives={"foo._x": declared})))))
    assert first.code == "WF501"
    assert why in first.detail
    assert "swallowed" not in first.detail


def test_a_swallowed_warning_is_told():
    first = next(iter(findings(facts(module(gil={**GIL_ON, "warned": False})))))
    assert first.detail.endswith("the interpreter's warning of it is swallowed")


def test_a_classifier_is_held_against_the_measurement():
    metadata = {
        "requires_python": "",
        "requires_python_ignored": False,
        "free_threading": "3 - Stable",
    }
    assert codes(facts(metadata=metadata)) == []
    assert codes(facts(module(gil=GIL_ON), metadata=metadata)) == ["WF501", "WF503"]


def test_requires_python_is_held_against_the_measurement():
    metadata = {"requires_python": "<3.14", "requires_python_ignored": True, "free_threading": None}
    assert codes(facts(metadata=metadata)) == ["WF408"]
    assert codes(facts(module(error="ImportError: no"), metadata=metadata)) == ["WF402", "WF401"]


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ({"init": "single-phase", "gil": None, "interpreters": None}, ["WF504"]),
        ({**DECLARED, "interpreters": None}, ["WF505"]),
        ({**DECLARED, "interpreters": "no"}, ["WF505"]),
        ({**DECLARED, "interpreters": "shared-gil"}, ["WF505"]),
        ({"init": None, "gil": None, "interpreters": None}, []),
    ],
)
def test_a_refusal_by_declaration_is_told_once_and_as_information(
    declared: dict[str, Any], code: list[str]
):
    refused = raised(
        "ImportError: module foo._x does not support loading in subinterpreters", "foo", **IN_ROUND
    )
    told = list(findings(facts(module(natives={"foo._x": declared}), subinterpreters=refused)))
    assert [finding.code for finding in told] == code
    assert all(finding.kind.severity is Severity.INFO for finding in told)


def test_another_packages_refusal_is_not_laid_at_its_door():
    assert codes(facts(subinterpreters=raised(round=1, failed="bar._y"))) == []


def test_warnings_are_told_except_the_gils_own():
    gil = {
        "category": "RuntimeWarning",
        "text": "The global interpreter lock (GIL) has been enabled to load",
        "where": "",
    }
    own = {"category": "DeprecationWarning", "text": "old", "where": "foo/__init__.py:9"}
    (finding,) = findings(
        facts(dev={"lines": [], "warnings": [gil, own]}, strict=raised(name="foo"))
    )
    assert (finding.code, finding.where, finding.detail) == (
        "WF411",
        "foo/__init__.py:9",
        "DeprecationWarning: old",
    )
    assert finding.locations == (Location(path="foo/__init__.py", line=9),)


def test_what_fails_the_package_is_said_once():
    lines = [
        {"module": name, "error": "ImportError: once per process"}
        for name in ("foo", "foo._x", "foo._y")
    ]
    (finding,) = findings(facts(again={"lines": lines, "warnings": []}))
    assert (finding.code, finding.where) == ("WF416", "foo")
    assert finding.detail.endswith("once per process (2 more of its modules alike)")


def test_a_package_that_words_a_refusal_itself_is_no_failure_of_its_own():
    refusing = module(natives={"foo._x": {**DECLARED, "interpreters": "no"}})
    said = {"module": "foo", "error": "ImportError: please read this", **IN_ROUND}
    assert codes(facts(refusing, subinterpreters={"lines": [said], "warnings": []})) == ["WF505"]


def test_what_the_farms_interpreters_do_without_is_no_fault_of_a_package():
    late = module(
        "foo._tk", error="ModuleNotFoundError: No module named '_tkinter'", missing="_tkinter"
    )
    assert codes(facts(module(), late)) == []
    alone = module(
        "tk", error="ModuleNotFoundError: No module named '_tkinter'", missing="_tkinter"
    )
    assert codes(facts(alone)) == ["WF402"]


# --- what the package may have said in the place of the probe ---------------------------------------------------------

SAID_OFF = {"before": False, "after": False, "enabled_by": None, "warned": False}
SINGLE_PHASE = {"init": "single-phase", "gil": None, "interpreters": "own-gil"}


@pytest.mark.parametrize(
    ("declared", "setters", "found"),
    [
        (DECLARED, [], []),
        (SINGLE_PHASE, ["foo._x"], ["WF504"]),
        (SINGLE_PHASE, ["foo._y"], ["WF504", "WF508"]),
        ({**DECLARED, "gil": None}, [], ["WF508"]),
        ({**DECLARED, "gil": "used"}, [], ["WF508"]),
        (
            {**DECLARED, "gil": None, "init": None},
            [],
            [],
        ),  # it is no module object: there is nothing to read
        ({**DECLARED, "gil": None}, None, []),  # older evidence
    ],
)
def test_a_module_that_must_have_turned_the_gil_on_is_not_believed_to_have_left_it_off(
    declared: dict[str, Any], setters: list[str] | None, found: list[str]
):
    assert sorted(codes(facts(module(natives={"foo._x": declared}), sets_gil=setters))) == found


@pytest.mark.parametrize(
    ("seen", "found"),
    [(None, []), ("off", []), ("on", ["WF501", "WF508"]), ("hidden", ["WF508"])],
)
def test_what_is_seen_of_the_gil_from_outside_counts(seen: str | None, found: list[str]):
    told = facts(module(gil={**SAID_OFF, "seen": seen}), sets_gil=[])
    assert sorted(codes(told)) == found


def test_a_condition_that_the_package_ended_is_no_import():
    ended = {
        **QUIET,
        "fault": "the interpreter ended with exit code 0",
        "exit_code": 0,
        "during": "foo",
    }
    (finding,) = findings(facts(threads=ended))
    assert (finding.code, finding.where) == ("WF402", "foo")
