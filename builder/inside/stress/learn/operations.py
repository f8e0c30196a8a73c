"""Find out what an operation reaches, how long it takes and what it gives, by making it alone a few times."""

import inspect
import re
import time
from collections.abc import Sequence

from ..calls.expressions import show_value
from ..calls.learnt import Operation
from ..calls.native_calls import find_native_calls
from ..calls.subjects import Subjects
from ..calls.surface import Surface
from .calling import Tried, took_arguments
from .evaluator import Evaluator

_CHANGING = ("setattr(", "operator.setitem(", "operator.delitem(", "operator.i")
"""How expressions begin that are there to change their subject; the last is that of in-place operators."""

_OBSERVING = re.compile(
    r"s\.\w+(\(\))?|\w+\(s\)|list\(itertools.islice\(s, 200\)\)|bytes\(memoryview\(s\)\)"
)
"""Expressions that may tell a subject's state: they need no argument."""

_ASKING = re.compile(r"s\.\w+\(\)|\w+\(s\)")
"""Calls without arguments."""

_SLOW_S = 0.05
"""What takes longer is left out. Not measured: a scenario makes at least 12 calls in each thread, many times over."""

_REPEATED = 2  # times that a result is compared with the first
_OBSERVED_TIMES = 3  # at most, until those that change one another's results are gone
_MOST_BEFORE = 4  # operations that change a subject before it is observed
_MOST_CANDIDATES = 25  # expressions that are tried as observers
_MOST_OBSERVERS = 12
_MOST_WITNESSES = 12  # calls that are asked whether observers changed something


class OperationTester:
    """Makes operations alone, in one thread.

    Attributes:
        reached: all native callables that were reached.
    """

    def __init__(self, evaluator: Evaluator, surface: Surface, subjects: Subjects) -> None:
        self._evaluator = evaluator
        self._surface = surface
        self._subjects = subjects
        self.reached: set[str] = set()

    def describe(
        self, text: str, *, make: str = "", name: str = "", argument: str = ""
    ) -> Operation | None:
        """Make an operation a few times, and return what it does; None where it is too slow or does not work.

        Besides, the operation's result becomes a subject, and the native callables are added to `reached`.

        Args:
            text: the operation's expression, in which `s` is the subject and `a` the shared argument.
            make: an expression that makes the subject; empty where there is none.
            name: the attribute of the subject that the operation uses; empty where there is none.
            argument: an expression that makes the argument that threads share; empty where there is none.
        """
        subject = self._evaluator.make(make)
        shared = self._evaluator.make(argument)
        first = self._evaluator.evaluate(text, subject, shared)
        outcome = _tell_outcome(first)
        # The second call is timed: the first may import something, or set something up.
        began = time.perf_counter()
        second = self._evaluator.evaluate(text, subject, shared)
        seconds = time.perf_counter() - began
        if seconds > _SLOW_S or not took_arguments(first):
            return None

        # A result that depends on a shared argument could not be made by an expression of its own.
        if not argument:
            made_by = f"(lambda s: {text})({make})" if make else text
            self._subjects.note_value(made_by, first.result)

        attribute_name = self._find_attribute(subject, name, text) if make else None
        native = self._find_reached(text, make, argument)
        if attribute_name:
            native.add(attribute_name)
        self.reached |= native

        failed = first.error is not None
        repetitions = [self._repeat(text, make, argument) for _ in range(_REPEATED)]
        result = None if failed else show_value(first.result)
        is_stable = all(repetition == result for repetition in repetitions)

        called_name = text.partition("(")[0]
        is_function = called_name in self._surface.functions.values()
        gives_nothing = result == "None"  # what returns nothing is called for its effect
        # Such as the next token of a parser: the second time it is another one.
        is_used_up = bool(make) and _tell_outcome(second) != outcome

        return {
            "text": text,
            "native": sorted(native),
            "direct": bool(attribute_name) or is_function,
            "result": result if is_stable else None,
            "changes": gives_nothing or failed or is_used_up or text.startswith(_CHANGING),
            "us": round(seconds * 1e6, 1),
        }

    def _find_attribute(self, subject: object, name: str, text: str) -> str | None:
        """Return the native callable that an attribute of a subject is, or that its descriptor runs; None for neither.

        Args:
            subject: the object.
            name: the attribute.
            text: the operation: `s.name` or `setattr(s, 'name', ...)`.
        """
        own_name = self._surface.find_attribute_name(type(subject), name)
        if own_name is not None:
            return own_name

        descriptor = inspect.getattr_static(type(subject), name, None)
        slot = "__set__" if text.startswith("setattr(") else "__get__"
        return self._surface.find_attribute_name(type(descriptor), slot)

    def _find_reached(self, text: str, make: str, argument: str) -> set[str]:
        """Return the names of the native callables that an operation calls, itself or through Python code.

        The arguments are as those of `describe`.
        """
        subject = self._evaluator.make(make)
        shared = self._evaluator.make(argument)

        return find_native_calls(
            lambda: self._evaluator.evaluate(text, subject, shared),
            self._surface,
            # A function that makes an object of ours is worth calling; a method in Python that does so is not.
            counts_types=not make,
        )

    def _repeat(self, text: str, make: str, argument: str) -> str | None:
        """Make an operation once more, on a new subject; return its result as text, None where it cannot be shown."""
        subject = self._evaluator.make(make)
        shared = self._evaluator.make(argument)

        return show_value(self._evaluator.evaluate(text, subject, shared).result)

    def find_observers(self, make: str, operations: Sequence[Operation]) -> list[str]:
        """Return operations that show a subject's state, such as `len(s)`.

        They change neither the subject nor each other's results: every candidate is evaluated several times on one
        subject, and those whose results differ are dropped until the others are steady. The same is asked of subjects
        that another operation has changed: what empties an object shows that only where there is something in it.

        Args:
            make: an expression that makes the subject.
            operations: what can be done with the subject.
        """
        candidates: list[str] = []
        for operation in operations:
            has_result = operation["result"] not in {None, "None"}
            if has_result and _OBSERVING.fullmatch(operation["text"]):
                candidates.append(operation["text"])

        steady = self._keep_steady(self._evaluator.make(make), candidates[:_MOST_CANDIDATES])
        for text in _list_changing(operations, candidates):
            subject = self._evaluator.make(make)
            if self._evaluator.evaluate(text, subject).error is None:
                unsteady = self._find_unsteady(subject, steady)
                steady = [observer for observer in steady if observer not in unsteady]

        return self._drop_hidden_changes(make, steady[:_MOST_OBSERVERS], operations)

    def _drop_hidden_changes(
        self, make: str, observers: list[str], operations: Sequence[Operation]
    ) -> list[str]:
        """Return the observers after which other calls still come to what they come to on a new subject.

        What shows the same again may have changed something that it does not show: a parser that is asked whether a
        token comes next has read it, and gives another event then.
        """
        for witness in _list_witnesses(operations, observers):
            if self._evaluator.is_late():
                break
            untouched = self._come_to(make, (), witness)
            is_told = untouched == self._come_to(make, (), witness)
            if is_told and untouched != self._come_to(make, observers, witness):
                observers = [
                    observer
                    for observer in observers
                    if self._come_to(make, (observer,), witness) == untouched
                ]

        return observers

    def _come_to(self, make: str, before: Sequence[str], text: str) -> tuple[object, ...]:
        """Return what a call on a new subject comes to after others."""
        subject = self._evaluator.make(make)
        for observer in before:
            self._evaluator.evaluate(observer, subject)

        return _tell_outcome(self._evaluator.evaluate(text, subject))

    def _find_unsteady(self, subject: object, observers: Sequence[str]) -> set[str]:
        """Return observers that show another state the second time, of those that show any."""
        unsteady: set[str] = set()
        for text, first, second in self._observe_twice(subject, observers):
            if first is not None and first != second:
                unsteady.add(text)

        return unsteady

    def _keep_steady(self, subject: object, observers: list[str]) -> list[str]:
        """Return the observers whose results are the same again, when those of the others are asked for as well."""
        for _ in range(_OBSERVED_TIMES):
            steady: list[str] = []
            for text, first, second in self._observe_twice(subject, observers):
                if first is not None and first == second:
                    steady.append(text)
            if steady == observers:
                break
            observers = steady

        return observers

    def _observe_twice(
        self, subject: object, observers: Sequence[str]
    ) -> list[tuple[str, str | None, str | None]]:
        """Return each observer with what it shows of a subject, and again after all others were asked."""
        first = self._observe(subject, observers)
        second = self._observe(subject, observers)
        return list(zip(observers, first, second, strict=True))

    def _observe(self, subject: object, observers: Sequence[str]) -> list[str | None]:
        """Return what each observer shows of a subject, as text; None where that cannot be shown."""
        return [show_value(self._evaluator.evaluate(text, subject).result) for text in observers]


def _tell_outcome(tried: Tried) -> tuple[object, ...]:
    """Return what tells one outcome of a call from another: the result as text, and the types of result and error."""
    return show_value(tried.result), type(tried.result), type(tried.error)


def _list_witnesses(operations: Sequence[Operation], observers: Sequence[str]) -> list[str]:
    """Return calls without arguments that are no observers, one for each set of native callables."""
    asking = [
        operation
        for operation in operations
        if _ASKING.fullmatch(operation["text"]) and operation["text"] not in observers
    ]
    return _name_one_of_each(asking)[:_MOST_WITNESSES]


def _list_changing(operations: Sequence[Operation], candidates: Sequence[str]) -> list[str]:
    """Return operations that may change a subject, one for each set of native callables, likely ones first."""
    others = [
        operation
        for operation in operations
        if operation["text"] not in candidates and "argument" not in operation
    ]
    others.sort(key=lambda operation: not operation["changes"])
    return _name_one_of_each(others)[:_MOST_BEFORE]


def _name_one_of_each(operations: Sequence[Operation]) -> list[str]:
    """Return the text of the first operation for each set of native callables."""
    by_natives: dict[tuple[str, ...], str] = {}
    for operation in operations:
        by_natives.setdefault(tuple(operation["native"]), operation["text"])

    return list(by_natives.values())
