"""Stand-ins for native functions: they check their arguments, and complain, as C code does."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.inside.stress.calls import values
from builder.inside.stress.learn import calling
from builder.inside.stress.learn.calling import Budget, Search, Tried


class Table:
    """A type of the package's own."""


def attempts(function: Callable[..., Any], made: list[str] | None = None) -> Callable[[str], Tried]:
    """Return what calls a function with arguments that are given as text, and notes them."""
    names = {
        "Table": Table,
        "io": io,
        "datetime": __import__("datetime"),
        "array": __import__("array"),
    }

    def attempt(text: str) -> Tried:
        if made is not None:
            made.append(text)
        try:
            return Tried(result=eval(f"f({text})", {**names, "f": function}))
        except Exception as error:
            return Tried(error=error)

    return attempt


def found(
    function: Callable[..., Any],
    *,
    arities: Any = range(4),
    ready: tuple[str, ...] = (),
    **more: Any,
) -> list[str]:
    wanted = {
        "parameters": None,
        "own": ["Table()"],
        "hints": "",
        "budget": Budget(seconds=60),
        "wanted": 2,
        **more,
    }
    search = Search(attempts(function), **wanted)
    return [", ".join(vector) for vector in search.run(ready, arities)]


def need(value: object, kinds: type | tuple[type, ...], place: int, name: str) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise TypeError(f"argument {place} must be {name}, not {type(value).__name__}")


def taken(given: tuple[object, ...], count: int) -> None:
    if len(given) != count:
        raise TypeError(f"f expected {count} arguments, got {len(given)}")


def quantile(*given: Any) -> float:
    taken(given, 2)
    for place, value in enumerate(given, 1):
        need(value, float, place, "float")
        if not 0 <= value <= 1:
            raise ValueError(f"argument {place} must be between 0 and 1")
    return float(given[0] * given[1])


def ring(*given: Any) -> int:
    taken(given, 2)
    need(given[0], int, 1, "int")
    if given[0] < 1 or given[0] & (given[0] - 1):
        raise ValueError("capacity must be a power of two")
    need(given[1], str, 2, "str")
    if given[1] not in {"drop-oldest", "refuse"}:
        raise ValueError("mode must be 'drop-oldest' or 'refuse'")
    return int(given[0])


def merged(*given: Any) -> int:
    taken(given, 2)
    if not isinstance(given[0], Table):
        raise TypeError(f"argument 1 must be pkg.Table, not {type(given[0]).__name__}")
    need(given[1], int, 2, "int")
    return 1


def converted(*given: Any) -> int:
    taken(given, 2)
    need(given[0], (bytes, bytearray), 1, "a bytes-like object")
    if not callable(given[1]):
        raise TypeError("converter must be callable")
    return len(given[0])


def nothing(*given: Any) -> int:
    if given:
        raise TypeError(f"nothing() takes no arguments ({len(given)} given)")
    return 1


@pytest.mark.parametrize(
    "function", [ring, merged, converted, nothing], ids=lambda one: one.__name__
)
def test_arguments_are_found_by_what_the_errors_tell(function: Callable[..., Any]):
    assert found(function)


def test_two_numbers_that_both_have_to_be_in_a_range():
    assert found(quantile, parameters=[("q", "float"), ("weight", "float")])


def test_parameters_are_tried_first():
    made: list[str] = []
    search = Search(
        attempts(lambda data, count: data * count, made), parameters=[("data", ""), ("count", "int")], own=[], hints="",
        budget=Budget(seconds=60), wanted=1,
    )  # fmt: skip
    assert [", ".join(vector) for vector in search.run((), [2])] == ["b'abcdefgh', 8"]
    assert made == ["b'abcdefgh', 8"]


def test_words_of_the_docstring_are_values():
    def opened(*given: Any) -> int:
        taken(given, 1)
        if given[0] != "zigzag":
            raise ValueError("no such coding")
        return 1

    assert found(opened, hints="opened(coding): coding is 'plain' or 'zigzag'") == ["'zigzag'"]
    assert found(opened) == []


def test_what_others_call_it_with_comes_first():
    assert found(ring, ready=("3, 'refuse'", "4, 'refuse'", "'a'", "16, 'drop-oldest'")) == [
        "4, 'refuse'",
        "16, 'drop-oldest'",
    ]


def test_an_object_that_is_still_empty_was_called_right():
    def pop() -> None:
        raise IndexError("pop from an empty ring")

    def get(key: str) -> None:
        raise KeyError(key)

    assert found(pop) == [""]
    assert found(get)
    assert not calling.has_worked(Tried(error=ValueError("no")))


@pytest.mark.parametrize("tries", [1, 7, 40])
def test_the_budget_is_kept(tries: int):
    made: list[str] = []

    def never(*given: Any) -> None:
        raise ValueError(f"not {given!r}")  # always something new to follow

    search = Search(
        attempts(never, made),
        parameters=None,
        own=[],
        hints="",
        budget=Budget(tries=tries, seconds=60),
        wanted=2,
    )
    assert list(search.run(("1", "2"), range(4))) == []
    assert len(made) == tries


@pytest.mark.parametrize(
    "budget", [Budget(seconds=0.0), Budget(deadline=0.0)], ids=["seconds", "deadline"]
)
def test_without_time_nothing_is_called(budget: Budget):
    made: list[str] = []
    search = Search(
        attempts(nothing, made), parameters=None, own=[], hints="", budget=budget, wanted=2
    )
    assert list(search.run(("",), [0])) == []
    assert made == []


def test_no_more_than_wanted_and_no_two_alike():
    def anything(*given: Any) -> int:
        return len(given)

    vectors = found(anything, wanted=3, ready=("1",))
    assert len(vectors) == 3
    assert len(set(vectors)) == 3


@settings(max_examples=25, deadline=None)
@given(
    wanted_types=st.lists(st.sampled_from([str, int, float, bytes, list, dict, tuple]), max_size=3),
    wanted=st.integers(1, 8),
)
def test_what_is_given_never_fails_with_a_type_error(wanted_types: list[type], wanted: int):
    def checked(*given: Any) -> int:
        taken(given, len(wanted_types))
        for place, (value, kind) in enumerate(zip(given, wanted_types, strict=True), 1):
            need(value, kind, place, kind.__name__)
        return len(given)

    attempt = attempts(checked)
    vectors = found(checked, wanted=wanted)
    assert vectors
    assert [attempt(vector).error for vector in vectors] == [None] * len(vectors)


@pytest.mark.parametrize(
    ("name", "annotation", "kind"),
    [
        ("callback", "", "callable"),
        ("data_", "", "bytes"),
        ("capacity", "", "int"),
        ("anything", "collections.abc.Sequence[int]", "int"),
        ("anything", "Iterable[str] | None", "str"),
        ("anything", "Mapping[Key, Value]", "dict"),
        ("capacity", "float", "float"),
    ],
)
def test_names_and_annotations_tell_of_what_kind_a_value_is(name: str, annotation: str, kind: str):
    assert values.suggest_values(name, annotation) == values.KINDS[kind]
    for text in values.suggest_values(name, annotation):
        compile(text, "value", "eval")


def test_every_value_is_an_expression():
    for text in [
        *values.COMPACT,
        *values.WIDER,
        *(one for kind in values.KINDS.values() for one in kind),
    ]:
        compile(text, "value", "eval")
    assert values.suggest_values("whatever") == ()


def shared_limit(*given: Any) -> float:
    """Take two numbers of one range, and complain of both in the same words."""
    taken(given, 2)
    if not all(isinstance(value, float) and 0 < value < 1 for value in given):
        raise ValueError("probabilities must lie between 0 and 1")
    return float(sum(given))


def test_an_error_that_does_not_say_which_of_two_alike_is_wrong():
    assert found(shared_limit, parameters=[("rate", ""), ("alpha", "")])


def queue(capacity: int = 64, mode: str = "fixed") -> Table:
    need(capacity, int, 1, "int")
    if capacity < 1 or capacity & (capacity - 1):
        raise ValueError("capacity must be a power of two")
    if mode not in {"fixed", "growing"}:
        raise ValueError("mode must be one of 'fixed', 'growing'")
    return Table()


def test_words_that_an_error_names_are_tried_before_all_else():
    parameters = [("capacity", ""), ("mode", "")]
    arguments = found(queue, parameters=parameters, arities=range(3), wanted=5)
    assert {"8, 'fixed'", "8, 'growing'"} <= set(arguments)


def test_an_error_that_names_a_parameter_tells_its_place():
    made: list[str] = []
    search = Search(
        attempts(queue, made), parameters=[("capacity", ""), ("mode", "")], own=[], hints="", budget=Budget(tries=8), wanted=1
    )  # fmt: skip
    assert [*search.run([], [2])] == [("8", "'fixed'")]
    assert made == ["8, 'ab'", "8, 'fixed'"]


def test_lengths_and_factors_that_an_error_names_are_tried():
    def cipher(key: object) -> None:
        need(key, bytes, 1, "bytes")
        if len(key) != 32:  # type: ignore[arg-type]
            raise ValueError("key must be 32 bytes long")

    def ring(size: object) -> None:
        need(size, int, 1, "int")
        if size not in {16, 1024}:
            raise ValueError("size must be a power of two, and more than 8")

    assert found(cipher, wanted=1) == ["bytes(32)"]
    assert found(ring, wanted=1) == ["16"]


def test_nothing_is_guessed_where_what_others_call_it_with_works():
    made = ["'given'"]
    assert found(lambda text: text, ready=("'given'",), wanted=5, prefers_ready=True) == made
    assert len(found(lambda text: text, ready=("'given'",), wanted=5)) > 1
    refused = found(lambda text: text + 1, ready=("'given'",), wanted=1, prefers_ready=True)
    assert refused
