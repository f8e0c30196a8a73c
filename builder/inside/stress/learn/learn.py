"""Learn how to call a distribution's native code, by calling it alone, in one thread.

Usage: python -m inside.stress.learn.learn, asked as inside.supervise.witness says.

The request has `modules` (import names), `folder` (its unpacked sdist, or null), `site` (where it is installed),
`recipes` (expressions the matrix gives, and the package's own tests), `recorded` (argument lists that its tests gave,
by called name), `never` (calls that ended an earlier attempt), `seconds` and `journal` (a
file). Before each call its text goes to the journal, so that whoever started this program knows which call ended it.

Each record is all that was learnt so far: it has `prelude` (modules to import), `callables`, `subjects` and
`functions`; an operation is an expression in which `s` is the subject and `a` a shared argument.
"""

import contextlib
import importlib
import inspect
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...supervise.witness import Witness, add_site, read_request
from ..calls import values
from ..calls.learnt import Function, Operation, Subject
from ..calls.subjects import FoundSubject, Subjects
from ..calls.surface import Surface
from ..calls.templates import Template, iter_templates
from ..process import memory
from ..process.journal import Journal
from .argument_finder import ArgumentFinder
from .evaluator import Evaluator
from .operations import OperationTester
from .spoilers import find_spoilers

_ROUNDS = 2
"""How often everything is tried: what needs a value of the package's own is reached the second time."""

# How many arguments are tried where nothing tells their number, and how many argument lists are enough.
_CONSTRUCTOR_ARITIES = range(4)
_CALL_ARITIES = range(5)
_WANTED_OBJECTS = 5  # ways to make an object: they may differ in what they show
_WANTED_CALLS = 2

# How much is learnt of one callable or object. Not measured: a scenario for each would come too late anyway.
_MOST_OPERATIONS_OF_FUNCTION = 12
_MOST_TEMPLATES = 60
_ENOUGH_TEMPLATES = 12  # of an object of a Python class that has not led to native code by then

_MOST_ATTEMPTS = (
    3  # objects on which the same native callable is tried before all others have had their turn
)

_READING_SHARE = 0.3
"""Of the time to learn, at most so much beside it to read the package's tests and examples."""

_MOST_SHARED = 6  # operations of one template in which threads share an argument

_ENDED = object()
"""Stands for the end of a generator."""

_CHECKPOINT_S = 1.0
"""How much of what was learnt a call that ends this process may take along."""


class Learner:
    """Tries all public functions and classes of a distribution, and keeps how they can be called.

    A subject is an object that operations are made on; an operation is an expression that calls native code.
    """

    def __init__(self, request: dict[str, Any], write: Callable[[dict[str, Any]], None]) -> None:
        """Import the distribution.

        Args:
            request: what this program was asked.
            write: takes what is known so far, from time to time.
        """
        self._recipes: list[str] = request["recipes"]
        self._write = write
        self._written_at = time.monotonic()

        self._companions: list[str] = request.get("after", [])
        for name in self._companions:
            # One that cannot be imported shows in what the package's own modules raise.
            with contextlib.suppress(BaseException):
                importlib.import_module(name)
        self.surface = Surface(request["modules"])
        self.evaluator = Evaluator(
            self.surface.roots,
            request["never"],
            Journal(request["journal"]),
            deadline=time.monotonic() + request["seconds"],
        )
        self._seconds: float = request["seconds"]
        self.subjects = Subjects(self.surface)
        self.functions: dict[str, Function] = {}
        self._tester = OperationTester(self.evaluator, self.surface, self.subjects)
        self._arguments = ArgumentFinder(
            self.evaluator,
            self.subjects.own,
            folder=request.get("folder"),
            site=request["site"],
            roots=self.surface.roots,
            recorded=request.get("recorded", {}),
            reading_s=_READING_SHARE * request["seconds"],
        )
        self._attempts: Counter[str] = Counter()  # by native callable: templates that lead to it
        self._spoils: dict[str, tuple[int, list[Operation]]] = {}

    def learn(self) -> None:
        """Try everything public: first the functions and classes, then the objects that these gave.

        The recipes, i.e. expressions from the matrix that make objects, come before all else. The time begins here:
        importing the distribution, and reading its tests, took none of it.
        """
        self.evaluator.deadline = time.monotonic() + self._seconds
        for text in self._recipes:
            self._follow_recipe(text)

        native, other = self._list_public()
        for _ in range(_ROUNDS):
            operated: set[str] = set()
            for named in (native, other):
                self._try_all(named)
                self._operate_in_turns(operated)

    def _try_all(self, named: Sequence[tuple[str, object]]) -> None:
        """Construct classes and call functions, given by their names."""
        for text, value in named:
            # Looking at an object may run code of the package, which may raise: the next one is tried.
            with contextlib.suppress(Exception):
                if isinstance(value, type):
                    self._construct(text, value)
                else:
                    self._call(text, value)
            self._checkpoint()

    def _operate_in_turns(self, operated: set[str]) -> None:
        """Find out what can be done with all objects, one step of each at a time, those of different types first.

        So a type whose methods are slow or hang does not take the time of all others. What leads to native code that
        nothing has reached so far comes first, of all objects.

        Args:
            operated: expressions that make objects which had their turn in this round; they are left out, and those
                that have it now are added.
        """
        while True:
            waiting = [make for make in self.subjects.by_make if make not in operated]
            if not waiting:
                return

            operated.update(waiting)
            subjects = self._rank_subjects(waiting)
            for is_first in (True, False):
                turns = [self._operate(subject, only_new=is_first) for subject in subjects]
                while turns:
                    turns = [turn for turn in turns if _goes_on(turn)]
                    self._checkpoint()

    def _rank_subjects(self, makes: Sequence[str]) -> list[FoundSubject]:
        """Return subjects in the order in which their turns come: the first of each type, then the second of each."""
        subjects = [self.subjects.by_make[make] for make in makes]
        seen: Counter[int] = Counter()
        ranks: list[int] = []
        for subject in subjects:
            ranks.append(seen[subject.type_id])
            seen[subject.type_id] += 1

        order = sorted(range(len(subjects)), key=lambda place: ranks[place])
        return [subjects[place] for place in order]

    def _list_public(self) -> tuple[list[tuple[str, object]], list[tuple[str, object]]]:
        """Return the public classes and functions by name, native ones and others.

        Those that end a process by design are left out.
        """
        native: list[tuple[str, object]] = []
        other: list[tuple[str, object]] = []
        for text, value in self.surface.list_public():
            last_name = text.rpartition(".")[2]
            if last_name not in values.NEVER:
                kept = native if self.surface.is_native(value) else other
                kept.append((text, value))

        return native, other

    def _checkpoint(self) -> None:
        """Write what was learnt so far, at most once a second: the next call may end this process."""
        if time.monotonic() - self._written_at <= _CHECKPOINT_S:
            return

        self._write({**self.answer(), "complete": False})
        self.evaluator.is_closing = False  # `answer` turned it on
        self._written_at = time.monotonic()

    def _follow_recipe(self, text: str) -> None:
        """Evaluate an expression of the matrix, and keep the object it makes; one that raises is skipped."""
        tried = self.evaluator.evaluate(text)
        if tried.error is None:
            self.subjects.note_value(text, tried.result, is_given=True)

    def _construct(self, name: str, kind: type) -> None:
        """Find out how to make objects of a class, and keep each as a subject.

        Nothing is done where there is a subject of that class, or no arguments are found.

        Args:
            name: the class's dotted name, such as `pkg.Table`.
            kind: the class.
        """
        if self.subjects.has_type(name):
            return

        template = name + "({})"
        argument_lists = self._arguments.find(
            template, kind, _CONSTRUCTOR_ARITIES, wanted=_WANTED_OBJECTS, prefers_known=True
        )
        for argument_list in argument_lists:
            make = template.format(argument_list)
            value = self.evaluator.make(make)
            self.subjects.note_value(make, value, name)
            # A descriptor does its work in a class.
            if self.surface.find_attribute_name(type(value), "__get__"):
                owner = f"values.own({make})"
                type_name = f"a class with {name}"
                self.subjects.note_value(owner, self.evaluator.make(owner), type_name)

    def _call(self, name: str, function: object) -> None:
        """Find out how to call a function, and keep its operations if any of them reaches native code.

        Args:
            name: the function's dotted name, such as `pkg.parse`.
            function: the function.
        """
        if name in self.functions:
            return

        template = name + "({})"
        argument_lists = self._arguments.find(
            template, function, _CALL_ARITIES, wanted=_WANTED_CALLS
        )
        if not argument_lists:
            return

        operations = self._describe_calls(template, argument_lists)
        operations += self._describe_shared(template, argument_lists)
        if any(operation["native"] for operation in operations):
            kept = operations[:_MOST_OPERATIONS_OF_FUNCTION]
            self.functions[name] = {"name": name, "operations": kept}

    def _operate(self, subject: FoundSubject, *, only_new: bool) -> Iterator[None]:
        """Find out what can be done with an object: try its methods, attributes and slots, one at each step.

        An object of a Python class is given up after some of them if none has reached native code.

        Args:
            subject: the object.
            only_new: whether to leave out what leads to native code that was reached, or tried often enough.
        """
        value = self.evaluator.make(subject.make)
        for number, template in enumerate(iter_templates(value, self.surface)):
            # Skipped: what worked in an earlier round, and what there is no room or time for.
            is_known = template.text in subject.operations
            is_full = not only_new and len(subject.operations) >= _MOST_TEMPLATES
            if is_known or is_full or self.evaluator.is_late():
                continue
            if only_new and not self._leads_to_new(type(value), template):
                continue

            has_had_enough = number > _ENOUGH_TEMPLATES and not subject.is_native
            if has_had_enough and not subject.reaches_native():
                return  # Python code that does not lead to anything native

            # Looking at an object may run code of the package, which may raise: the next template is tried.
            with contextlib.suppress(Exception):
                self._try_template(subject, template, value)
            yield

        subject.visits += 1

    def _leads_to_new(self, kind: type, template: Template) -> bool:
        """Return whether a template may lead to native code that nothing has reached, and count it as an attempt.

        Python code may lead anywhere.
        """
        name = self.surface.find_attribute_name(kind, template.name)
        if name is None:
            return True

        self._attempts[name] += 1
        return name not in self._tester.reached and self._attempts[name] <= _MOST_ATTEMPTS

    def _try_template(self, subject: FoundSubject, template: Template, value: object) -> None:
        """Find out how one thing can be done with an object, and keep the operations.

        Args:
            subject: the object.
            template: what to do with it.
            value: the object itself.
        """
        argument_lists = self._find_arguments(template, value, subject.make)
        operations = self._describe_calls(
            template.text, argument_lists, subject.make, template.name
        )
        if template.arity != 0 and operations:
            operations += self._describe_shared(
                template.text, argument_lists, subject.make, template.name
            )
        # What did not work the first time is tried once more, with values that were found meanwhile.
        if operations or subject.visits:
            subject.operations[template.text] = operations

    def _find_arguments(self, template: Template, value: object, make: str) -> list[str]:
        """Return the argument lists that a template takes; empty where none was found.

        A template that needs no arguments has one list, the empty text.

        Args:
            template: an expression on the subject, in which `{}` stands for the arguments.
            value: the subject.
            make: an expression that makes the subject.
        """
        if template.arity == 0:
            return [""]

        attribute = inspect.getattr_static(type(value), template.name, None)
        arities: Iterable[int] = _CALL_ARITIES
        if template.arity is not None:
            arities = (template.arity,)

        return self._arguments.find(
            template.text, attribute, arities, make=make, wanted=_WANTED_CALLS
        )

    def _describe_calls(
        self, template: str, argument_lists: Sequence[str], make: str = "", name: str = ""
    ) -> list[Operation]:
        """Return the operations that a template makes with each argument list, and with variants of the first lists.

        What does not work or is too slow is skipped.

        Args:
            template: an expression in which `{}` stands for the arguments.
            argument_lists: what the template takes.
            make: an expression that makes the subject; empty where there is none.
            name: the attribute of the subject that the template uses; empty where there is none.
        """
        operations: list[Operation] = []
        for argument_list in self._arguments.iter_varied(template, argument_lists, make):
            text = template.format(argument_list)
            operation = self._tester.describe(text, make=make, name=name)
            if operation is not None:
                operations.append(operation)

        return operations

    def _describe_shared(
        self, template: str, argument_lists: Sequence[str], make: str = "", name: str = ""
    ) -> list[Operation]:
        """Return operations in which several threads share one argument that can be changed, such as a list.

        Empty where the call takes nothing that threads could change. The shared argument is `a` in an operation's text.

        Args:
            template: an expression in which `{}` stands for the arguments.
            argument_lists: what the template takes.
            make: an expression that makes the subject; empty where there is none.
            name: the attribute of the subject that the template uses; empty where there is none.
        """
        operations: list[Operation] = []
        for shared in self._arguments.iter_shared(argument_lists):
            if len(operations) >= _MOST_SHARED:
                break

            text = template.format(shared.argument_list)
            operation = self._tester.describe(text, make=make, name=name, argument=shared.text)
            if operation is not None:
                operation["argument"] = shared.text
                operation["mutations"] = shared.type_name
                operations.append(operation)

        return operations

    def answer(self) -> dict[str, Any]:
        """Return all that was learnt, as the top of this file describes it.

        From now on calls are made although the time is up: the state of each subject still has to be looked at.
        """
        is_complete = not self.evaluator.is_late()
        self.evaluator.is_closing = True

        subjects: list[Subject] = []
        for subject in self.subjects.by_make.values():
            # Python code counts by what it reaches.
            if subject.is_native or subject.reaches_native():
                subjects.append(self._describe_subject(subject))

        return {
            "prelude": [*self._companions, *sorted(self.surface.modules)],
            "failed": self.surface.failed,
            "callables": sorted(self.surface.list_offered() | self._tester.reached),
            "reached": sorted(self._tester.reached),
            "stateless": sorted(self.surface.stateless),
            "subjects": subjects,
            "functions": list(self.functions.values()),
            "complete": is_complete,
        }

    def _describe_subject(self, subject: FoundSubject) -> Subject:
        """Return a subject as the answer has it, with the operations that show its state."""
        operations = subject.list_operations()
        spoils = self._find_spoilers(subject.make, operations)
        operations = [operation for operation in operations if operation not in spoils]
        observers = self._tester.find_observers(subject.make, operations)

        described: Subject = {
            "make": subject.make,
            "type": subject.type_name,
            "operations": operations,
            "observe": observers,
        }
        if spoils:
            described["spoils"] = spoils
        return described

    def _find_spoilers(self, make: str, operations: list[Operation]) -> list[Operation]:
        """Return the operations after which others end the process; asked once for the same operations."""
        count, spoils = self._spoils.get(make, (0, []))
        if count != len(operations):
            spoils = find_spoilers(self.evaluator, make, operations)
            self._spoils[make] = len(operations), spoils

        return spoils


def _goes_on(turn: Iterator[None]) -> bool:
    """Take a step of learning an object; return whether there are more.

    Looking at an object may run code of the package, which may raise: then it is left at that.
    """
    with contextlib.suppress(Exception):
        return next(turn, _ENDED) is not _ENDED
    return False


def _interrupt_call(_number: int, _frame: object) -> None:
    raise TimeoutError("this call takes long")


def main() -> None:
    """Learn how to call the distribution, write what was learnt, and end the process."""
    asked = read_request()
    witness = Witness(asked["token"], asked["descriptor"])
    memory.limit_address_space()
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print
    signal.signal(signal.SIGALRM, _interrupt_call)

    end = os._exit
    add_site(asked["request"]["site"])
    learner = Learner(asked["request"], witness.write)
    learner.learn()
    witness.write(learner.answer())
    witness.close()

    end(0)  # what was called may have left threads and handlers that end badly


if __name__ == "__main__":
    main()
