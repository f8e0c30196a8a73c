"""Facts of jobs as models: what they take, and that nothing else gets past them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import ExitCode
from builder.evidence.audit import AuditFacts, NativeObject
from builder.evidence.base import EvidenceError, Facts, MalformedFactsError, UndeterminedFacts
from builder.evidence.build import BuildFacts
from builder.evidence.exercise import ExerciseAnswer
from builder.evidence.kinds import MODELS, schema_version
from builder.evidence.load import LoadFacts
from builder.evidence.race import RaceAnswer
from builder.evidence.replay import ReplayAnswer
from builder.evidence.scenarios import RacePlan
from builder.evidence.speed import SpeedAnswer, SpeedFacts
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from tests.unit.facts import CALL, LOADED, MODULE, RATES, SAMPLES, SCENARIO, WHEEL

SHAPES = [(kind, facts) for kind, samples in SAMPLES.items() for facts in samples]
ANSWERS = [*MODELS.values(), RaceAnswer, ExerciseAnswer, SpeedAnswer, ReplayAnswer, UndeterminedFacts]  # fmt: skip


def find_fault(model: type[Facts], value: Any) -> str:
    """Return what a model says of facts that it refuses."""
    with pytest.raises(MalformedFactsError) as caught:
        model.parse(json.dumps(value).encode())

    return str(caught.value)


def test_every_kind_of_job_has_samples():
    assert SAMPLES.keys() == MODELS.keys()


@pytest.mark.parametrize(("kind", "facts"), SHAPES)
def test_facts_come_back_as_they_were(kind: str, facts: dict[str, Any]):
    model = MODELS[kind].parse(json.dumps(facts).encode())

    assert model.to_json() == facts
    assert MODELS[kind].read(Evidence(key="k", job=JobId(kind, "foo"), facts=facts)) == model


@pytest.mark.parametrize(("kind", "facts"), SHAPES)
def test_a_renamed_key_is_refused_wherever_it_is(kind: str, facts: dict[str, Any]):
    for renamed in rename_keys(facts):
        with pytest.raises(MalformedFactsError):
            MODELS[kind].check(renamed)


def rename_keys(value: Any) -> Any:
    """Give copies of facts, each with one key of a record renamed; keys that are data stay."""
    if isinstance(value, list):
        for place, item in enumerate(value):
            for renamed in rename_keys(item):
                yield [*value[:place], renamed, *value[place + 1 :]]
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key in {
            "auditwheel",
            "limits",
            "rates",
            "versions",
            "undefined",
            "unreached",
            "outside",
        }:
            continue
        for renamed in rename_keys(item):
            yield {**value, key: renamed}
    if not _is_map(value):
        for key in value:
            yield {f"{name}_" if name == key else name: item for name, item in value.items()}


def _is_map(value: dict[str, Any]) -> bool:
    """Return whether the keys are data, such as file names."""
    return not value or not all(key.replace("_", "").isalpha() for key in value) or len(value) == 1


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b'{"loads":', "it is not JSON"),
        (b'{"loads":' * 100_000, "it is not JSON"),
        (b'{"loads": ' + b"9" * 5000 + b"}", "it is not JSON"),
        (b"[]", "the answer: expected a valid dictionary"),
        (b"null", "the answer: expected a valid dictionary"),
        (b"{}", "loads: is missing"),
        (b'{"loads": {}, "more": 1}', "more: is not known"),
        (b'{"loads": {"cp314": {"claimed": true, "missing": []}}}', "loads.cp314.wheel: is missing"),
        (b'{"loads": {"cp314": {"wheel": "a", "claimed": "yes", "missing": []}}}', "loads.cp314.claimed: expected a valid boolean, found 'yes'"),
        (b'{"loads": {"cp314": {"wheel": "a", "claimed": 1, "missing": {}}}}', "(and 1 more)"),
    ],
)  # fmt: skip
def test_a_broken_answer_says_where_and_what_was_found(answer: bytes, fault: str):
    with pytest.raises(MalformedFactsError) as caught:
        LoadFacts.parse(answer)

    assert fault in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_a_wrong_value_is_shown_short_however_long_it_is():
    long = {"loads": {"cp314": {"wheel": ["x" * 10**5] * 10, "claimed": True, "missing": []}}}
    assert len(find_fault(LoadFacts, long)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
QUICK = settings(max_examples=30, deadline=None)


def is_answer(model: type[Facts], value: Any) -> bool:
    """Return whether a model takes a value; what is no MalformedFactsError is raised."""
    with contextlib.suppress(MalformedFactsError):
        model.parse(json.dumps(value).encode())
        return True

    return False


@pytest.mark.parametrize("model", ANSWERS)
@given(value=JSON)
@QUICK
def test_whatever_is_answered_there_is_no_other_error(model: type[Facts], value: Any):
    assert not is_answer(model, value)


@pytest.mark.parametrize(("kind", "facts"), SHAPES)
@given(data=st.data())
@QUICK
def test_whatever_stands_in_an_answer_there_is_no_other_error(
    kind: str, facts: dict[str, Any], data: st.DataObject
):
    is_answer(MODELS[kind], replace_value(facts, data))


def replace_value(value: Any, data: st.DataObject) -> Any:
    """Return facts of which one value, at any depth, is replaced by JSON that has no meaning there."""
    if not value or not isinstance(value, dict | list) or data.draw(st.integers(0, 5)) == 0:
        return data.draw(JSON)
    if isinstance(value, dict):
        key = data.draw(st.sampled_from(list(value)))
        return {**value, key: replace_value(value[key], data)}

    place = data.draw(st.integers(0, len(value) - 1))
    return [*value[:place], replace_value(value[place], data), *value[place + 1 :]]


@pytest.mark.parametrize("half", [rb"\ud800", b"\xed\xa0\x80"], ids=["escaped", "as bytes"])
def test_every_text_of_an_answer_can_be_printed(half: bytes):
    answer = b'{"abis": {"cp314": {"wheel": "' + half + rb' \u001b[2J"}}}'

    model = BuildFacts.parse(answer)

    assert model.wheel_of("cp314") == r"\ud800 \x1b[2J"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b'"' + b"x" * (33 << 20) + b'"', "bytes, more than 33,554,432"),
        (b"[" + b"[]," * 2_000_000 + b"0]", "more than 2,000,000 items"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[" * 50 + b"]" * 50, "more than 40 levels"),
        (b'{"cpus": 1e999}', "the number inf"),
        (b'{"cpus": %d}' % (1 << 70), "an integer of 71 bits"),
    ],
    ids=["bytes", "items", "open brackets", "depth", "infinite", "integer"],
)
def test_an_answer_is_bounded(answer: bytes, fault: str):
    with pytest.raises(MalformedFactsError, match=fault):
        SpeedAnswer.parse(answer)


def test_what_cannot_be_seen_in_a_result_of_a_plan_is_not_compared():
    rows = [[["s.a()", "'plain'"], ["s.b()", "\x1b[2J"], ["s.c()", None]]]
    content = json.dumps({"surface": None, "plan": [{**SCENARIO, "rows": rows}]}).encode()

    (scenario,) = RacePlan.parse(content).plan

    assert scenario.rows == ((("s.a()", "'plain'"), ("s.b()", None), ("s.c()", None)),)


def test_figures_are_finite():
    with pytest.raises(MalformedFactsError, match="expected a finite number"):
        SpeedAnswer.check({"cpus": float("inf")})


@pytest.mark.parametrize(
    ("rates", "fault"),
    [
        ([[0, 1], [1, 1]], "2.0.0: expected greater than 0"),
        ([[1, 1], [1, -1]], "2.1.1: expected greater than 0"),
        ([[1, 1], [1]], "2.1.1: is missing"),
        ([[1, 1], ["1", 1]], "2.1.0: expected a valid number, found '1'"),
        ([], "expected 2 rates of each kind"),
        ([[1, 1]] * 3, "expected 2 rates of each kind"),
    ],
)
def test_rates_are_positive_and_one_for_each_round(rates: list[Any], fault: str):
    facts = SAMPLES["speed"][2]
    measured = {**RATES, "cp314t": {**RATES["cp314t"], "2": rates}}

    assert fault in find_fault(SpeedFacts, {**facts, "calls": [{**CALL, "rates": measured}]})


def test_calls_are_measured_in_the_same_ways():
    facts = SAMPLES["speed"][2]
    call = {**facts["calls"][0], "rates": {"cp314t": facts["plain"]["rates"]["cp314t"]}}

    assert "the same ABIs and threads" in find_fault(SpeedFacts, {**facts, "calls": [call]})
    assert "at least one ABI" in find_fault(SpeedFacts, {**facts, "plain": {**facts["plain"], "rates": {}}})  # fmt: skip
    assert "beside the calls" in find_fault(SpeedFacts, {**facts, "plain": None})


def test_numbers_of_threads_are_numbers():
    facts = SpeedFacts.check(SAMPLES["speed"][2])

    assert facts.plain is not None
    assert list(facts.plain.rates["cp314t"]) == [1, 2]


def test_an_abi_has_a_wheel_or_a_failure():
    both = {"wheel": WHEEL, "failure": SAMPLES["build"][0]["abis"]["cp314t"]["failure"]}

    assert "either a wheel or a failure" in find_fault(BuildFacts, {"abis": {"cp314": both}})
    assert "either a wheel or a failure" in find_fault(BuildFacts, {"abis": {"cp314": {}}})


def test_what_a_build_prints_as_its_usage_beside_what_it_used_is_left_out():
    facts = BuildFacts.check({"abis": {}, "limits": {"memory-peak-bytes": 7, "honesty": 1}})

    assert facts.limits.memory_peak_bytes == 7
    assert facts.to_json() == {"abis": {}, "limits": {"memory-peak-bytes": 7}}


def test_native_files_are_told_apart_by_what_could_be_read():
    facts = AuditFacts.check(SAMPLES["audit"][0]).wheels[WHEEL]

    assert list(facts.native_objects) == [MODULE]
    assert isinstance(facts.objects[MODULE], NativeObject)
    broken = {"wheels": {WHEEL: {**SAMPLES["audit"][0]["wheels"][WHEEL], "objects": {MODULE: {"kind": "extension"}}}}}  # fmt: skip
    assert "objects" in find_fault(AuditFacts, broken)
    assert "damaged" not in find_fault(AuditFacts, broken)


def test_a_search_for_races_has_every_figure_once_it_began():
    facts = SAMPLES["race"][3]
    for key in ("pairs", "races", "gil", "own_tests"):
        less = {name: value for name, value in facts.items() if name != key}
        with pytest.raises(MalformedFactsError, match=f"expected {key} beside the surface"):
            MODELS["race"].check(less)


def test_an_import_that_raised_died_or_hung_failed():
    facts = LoadFacts.check(SAMPLES["load"][0]).loads

    assert [probe.failed for probe in facts["cp314t"].modules] == [False, True, True, True]
    assert [loaded.tried for loaded in facts.values()] == [False, True]
    assert facts["cp314t"].threads is not None
    assert facts["cp314t"].threads.errors == {"foo": "ImportError: half"}


def test_recorded_facts_that_are_damaged_name_the_job_and_what_helps():
    evidence = Evidence(
        key="k", job=JobId.parse("load:foo@debian-12/debian-12"), facts={"loads": LOADED}
    )
    with pytest.raises(EvidenceError) as caught:
        LoadFacts.read(evidence)

    assert "load:foo@debian-12/debian-12" in str(caught.value)
    assert "loads.install: " in str(caught.value)
    assert "wheelfarm run --again" in str(caught.value)
    assert caught.value.exit_code is ExitCode.UNDETERMINED


def test_facts_do_not_change():
    facts = BuildFacts.check({"abis": {}})
    with pytest.raises(ValueError, match="frozen"):
        facts.rules = "others"  # type: ignore[misc] # that is what is tried


def test_versions_are_those_of_the_models_and_begin_at_one():
    assert {kind: schema_version(kind) for kind in MODELS if schema_version(kind) > 1} == {
        "audit": 2,
        "build": 2,
        "image": 2,
        "load": 2,
        "race": 2,
        "exercise": 2,
    }
    assert schema_version("nobody's") == 1
