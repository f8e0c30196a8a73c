import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from builder.inside.stress.calls import values
from builder.inside.stress.play import harness

Call = tuple[str, Callable[[Any, Any], Any], str | None]


class Counter:
    """Counts, and lets others run between reading and writing."""

    def __init__(self) -> None:
        self.total = 0

    def add(self) -> None:
        known = self.total
        time.sleep(0)
        self.total = known + 1


class Guarded(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def add(self) -> None:
        with self.lock:
            super().add()

    def swap(self) -> int:
        with self.lock:
            return 7


class Swapping(Guarded):
    """Puts what it is asked for where others see it meanwhile."""

    def swap(self) -> int:
        self.total, kept = self.total + 1, self.total
        time.sleep(0)
        found, self.total = self.total - kept, kept
        return found


ADD: Call = ("s.add()", lambda s, a: s.add(), None)
SWAP: Call = ("s.swap()", lambda s, a: s.swap(), "7")


def drilled(
    make: Callable[[], Any], rows: list[list[Call]], observers: Any = (), **more: Any
) -> tuple[dict[str, int], list[str]]:
    settings = {
        "threads": 4,
        "iterations": 50,
        "rounds": 3,
        "sharing": "shared",
        "argument": lambda: None,
        **more,
    }
    found: tuple[dict[str, int], list[str]] = harness.run_rounds(
        make, settings.pop("argument"), rows, observers, **settings
    )
    return found


def total(subject: Any, _: Any) -> int:
    return int(subject.total)


def test_a_lost_update_shows_in_the_state_afterwards():
    errors, wrong = drilled(Counter, [[ADD]], [total])
    assert errors == {}
    assert wrong
    assert all(
        sentence.startswith("afterwards the subject shows ['") and "alone ['200']" in sentence
        for sentence in wrong
    )


def test_a_lock_makes_it_right():
    assert drilled(Guarded, [[ADD], [SWAP]], [total]) == ({}, [])


def test_what_another_process_gave_is_not_compared():
    """The plan was made minutes before, in another container."""
    assert drilled(Guarded, [[("s.swap()", lambda s, a: s.swap(), "8")]]) == ({}, [])


def test_a_counter_is_not_wrong():
    """It stands still between two calls that follow each other, and has gone on once threads have ended."""
    count = 0

    def read(subject: Any, argument: Any) -> str:
        nonlocal count
        count += 1
        return f"page {count // 100}"

    assert drilled(Counter, [[("s.page()", read, "'page 0'")]]) == ({}, [])


def test_what_gives_something_else_now_and_then_is_not_wrong():
    """Such as the load of a machine, of which there are no new figures for a while."""
    count = 0

    def read(subject: Any, argument: Any) -> str:
        nonlocal count
        count += 1
        return "busy" if count % 100 == 7 else "idle"

    long_text = f"s.load({'1' * 200})"
    assert drilled(Counter, [[(long_text, read, "'idle'")]]) == ({}, [])


def test_what_each_thread_has_of_its_own_is_not_wrong():
    own = threading.current_thread()

    def read(subject: Any, argument: Any) -> str:
        return "main" if threading.current_thread() is own else "worker"

    assert drilled(Counter, [[("s.where()", read, "'main'")]]) == ({}, [])


def test_what_cannot_be_shown_is_not_compared():
    met: list[object] = []

    def read(subject: Any, argument: Any) -> object:
        met.append(subject)
        return None if len(met) <= 2 else object()

    assert drilled(Counter, [[("s.context", read, "None")]]) == ({}, [])


def test_of_long_results_the_parts_are_told_that_differ():
    sentence = harness.describe_wrong("s.read()", "x" * 500 + "oc/sys", "x" * 500 + "/proc")
    assert sentence == (f"s.read() gave ...{'x' * 40}oc/sys, alone it gives ...{'x' * 40}/proc")
    assert harness.describe_wrong("s.get()", "7", "8") == "s.get() gave 7, alone it gives 8"


def test_calls_of_two_functions_that_read_alike_are_not_taken_for_one():
    one: Call = ("s()", lambda s, a: 1, "1")
    two: Call = ("s()", lambda s, a: 2, "2")
    assert drilled(Guarded, [[one], [two]]) == ({}, [])


def test_a_wrong_result_that_only_threads_get():
    rows: list[list[Call]] = [[("s.swap()", lambda s, a: s.swap(), "1")]]
    assert drilled(Swapping, rows, threads=1) == ({}, [])
    _, wrong = drilled(Swapping, rows, iterations=200)
    assert wrong
    assert all(sentence.endswith("alone it gives 1") for sentence in wrong)


def test_exceptions_are_counted_by_their_text():
    def fail(subject: Any, argument: Any) -> None:
        raise ValueError("no " * 200)

    errors, wrong = drilled(
        Counter, [[("s.fail()", fail, "1")]], [total], threads=3, iterations=5, rounds=2
    )
    ((text, count),) = errors.items()
    assert text.startswith("ValueError: no no")
    assert len(text) <= 200
    assert count == 3 * 5 * 2
    assert wrong == []  # calls that fail alone tell nothing about a state


@pytest.mark.parametrize(
    ("sharing", "made"),
    [("shared", 1), ("private", 1 + 4), ("fresh", 1 + 4 * 5), ("series", 1 + 5)],
)
def test_what_threads_share(sharing: str, made: int):
    counted: list[Counter] = []
    met: list[Counter] = []

    def make() -> Counter:
        counted.append(Counter())
        return counted[-1]

    drilled(
        make,
        [[("note", lambda s, a: met.append(s), None)]],
        iterations=5,
        rounds=1,
        sharing=sharing,
    )
    assert len(counted) == made
    assert len(met) == 4 * 5
    assert len(set(map(id, met))) == {"shared": 1, "private": 4, "fresh": 20, "series": 5}[sharing]


def test_rows_are_given_out_in_turn_and_begin_in_another_place_each():
    met: dict[str, list[str]] = {}

    def note(text: str) -> Call:
        return (
            text,
            lambda s, a: met.setdefault(threading.current_thread().name, []).append(text),
            None,
        )

    def named(work: Callable[[int], None], count: int) -> None:
        pool = [
            threading.Thread(target=work, args=(number,), name=str(number))
            for number in range(count)
        ]
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()

    drilled(Counter, [[note("a"), note("b")], [note("c")]], iterations=3, rounds=1, crew=named)
    assert met == {"0": list("aba"), "1": list("ccc"), "2": list("bab"), "3": list("ccc")}


def test_all_threads_are_given_one_argument():
    given: list[list[int]] = []
    drilled(
        Counter,
        [[("f(a)", lambda s, a: given.append(a), None)]],
        argument=lambda: [1],
        iterations=1,
        rounds=2,
    )
    assert len(given) == 8
    assert len(set(map(id, given))) == 2


@pytest.mark.parametrize("observers", [(), (lambda s, a: len(s),)])
def test_calls_that_come_to_an_end_are_cut_short(observers: Any):
    begun: list[None] = []

    def grow(s: list[int], _: object) -> None:
        begun.append(None)
        s += [1]
        time.sleep(0.001)

    more = {"iterations": 1_000_000, "rounds": 1_000_000, "longest_s": 0.05}
    assert drilled(list, [[("grow", grow, None)]], observers, **more) == ({}, [])
    assert begun


class TestAlone:
    def alone(
        self, *calls: Call, make: Any = Counter, observers: Any = (total,)
    ) -> list[str] | None:
        found: list[str] | None = harness.run_alone(
            make, lambda: None, [[call] for call in calls], observers, 4, 10, float("inf")
        )
        return found

    def test_the_state_after_all_calls(self):
        assert self.alone(ADD) == ["40"]
        assert self.alone(ADD, ADD) == ["40"]

    def test_it_is_unknown_where_the_order_decides(self):
        first: Call = ("s.append('a')", lambda s, a: s.append("a"), None)
        second: Call = ("s.append('b')", lambda s, a: s.append("b"), None)
        assert self.alone(first, second, make=list, observers=[lambda s, a: list(s)]) is None
        assert self.alone(first, second, make=list, observers=[lambda s, a: len(s)]) == ["40"]

    def test_it_is_unknown_where_a_call_fails(self):
        assert self.alone(("s.missing", lambda s, a: s.missing, None)) is None

    def test_it_is_unknown_where_the_state_cannot_be_shown(self):
        assert self.alone(ADD, observers=[lambda s, a: s]) is None

    def test_an_observer_that_fails_is_a_state_too(self):
        assert self.alone(ADD, observers=[lambda s, a: s.missing]) == ["AttributeError"]


def test_what_is_shown_has_no_address_and_no_order_of_its_own():
    assert harness.show({"b", "a", "c"}) == "['a', 'b', 'c']"
    assert harness.show([1, {"a": None}]) == "[1, {'a': None}]"
    assert harness.show(object()) is None
    assert harness.show([object()]) is None
    assert harness.show("x" * 30_000) is None


def test_what_threads_share_is_kept_and_what_each_has_of_its_own_is_not():
    kept: list[Any] = []
    harness.run_rounds(
        Counter,
        list,
        [[ADD]],
        [],
        threads=2,
        iterations=3,
        rounds=2,
        sharing="shared",
        make_immortal=kept.append,
    )
    assert [type(one) for one in kept] == [Counter, list] * 2
    kept.clear()
    harness.run_rounds(
        Counter,
        list,
        [[ADD]],
        [],
        threads=2,
        iterations=3,
        rounds=1,
        sharing="series",
        make_immortal=kept.append,
    )
    assert [type(one) for one in kept].count(Counter) == 4


def test_what_returned_in_how_many_threads_is_told():
    def fail(_s: Any, _a: Any) -> None:
        raise ValueError("no")

    returned: dict[str, int] = {}
    rows: list[list[Call]] = [[ADD], [("s.fail()", fail, None), SWAP]]
    drilled(Swapping, rows, returned=returned)
    assert returned == {"s.add()": 2, "s.swap()": 2}


def test_a_value_that_changes_a_container_lets_its_caller_come_to_an_end():
    items: list[object] = [1, 2]
    assert items.count(values.Reentrant(1, items, lambda s: s.append(1))) > 1  # type: ignore[attr-defined]
    assert len(items) == 2 + values.Reentrant.MOST


@pytest.mark.parametrize(("least_s", "seen"), [(0, False), (60, True)])
def test_rounds_go_on_while_nothing_was_wrong(least_s: float, seen: bool):  # noqa: FBT001 - a parametrized test
    """On a busy machine, threads of the few rounds that were enough before may run one after the other."""
    made = 0

    class Numbered:
        def __init__(self) -> None:
            nonlocal made
            made += 1
            self.number = made

    def read(subject: Numbered, _: Any) -> int:
        return (
            subject.number == 6
        )  # two are made to learn what the call gives alone: the fourth round

    wrong = drilled(Numbered, [[("s.read()", read, "False")]], rounds=2, least_s=least_s)[1]
    assert bool(wrong) == seen
