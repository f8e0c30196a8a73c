"""Learn how to call a distribution's native code, by calling it alone, in one thread.

Usage: python -m inside.stress.learn REQUEST.json OUTPUT.json JOURNAL

The request has `modules` (import names), `folder` (its unpacked sdist, or null), `site` (where it is installed),
`recipes` (expressions the matrix gives), `never` (calls that ended an earlier attempt) and `seconds`. Before each call
its text goes to the journal, so that whoever started this program knows which call ended it.

The output has `prelude` (modules to import), `callables`, `subjects` and `functions`; an operation is an expression in
which `s` is the subject and `a` a shared argument.
"""

import contextlib
import copy
import gc
import importlib
import inspect
import itertools
import json
import operator
import os
import pickle
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import memory, mining, values
from .calling import Budget, Search, Tried
from .expressions import (
    SLOTS,
    iter_alternatives,
    parse_docstring,
    replace_argument,
    show_value,
    split_arguments,
)
from .journal import Journal
from .surface import Surface, is_native_function, is_native_type

_MOST_SUBJECTS = 40
_MOST_OPERATIONS = 60
_LONGEST = 300
_MOST_CODE = 5000
_BARE = re.compile(
    r"s\.\w+(\(\))?|\w+\(s\)|list\(itertools.islice\(s, 200\)\)|bytes\(memoryview\(s\)\)"
)
_CODE: dict[str, Callable[[Any, Any], Any]] = {}
_TOOL = 4
monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # the farm's own interpreter may be older
_CHANGING = ("setattr(", "operator.setitem(", "operator.delitem(", "operator.i")
_SLOW_S = 0.05
_PATIENCE_S = 0.3
_ENOUGH = 12
_ALIKE = 6
_VARIANTS = 6


class Learner:
    """Everything that is known so far."""

    def __init__(self, request: dict[str, Any], output: str, journal: str) -> None:
        self.request = request
        self.output = output
        self.written = time.monotonic()
        self.surface = Surface(request["modules"])
        self.namespace: dict[str, Any] = {
            **{name: importlib.import_module(name) for name in values.STANDARD}, "values": values, "operator": operator, "itertools": itertools, "copy": copy, "pickle": pickle, "gc": gc,
            **{root: sys.modules[root] for root in self.surface.roots},
        }  # fmt: skip
        self.never = set(request["never"])
        callees = [text.partition("(")[0] for text in self.never]
        self.banned = {
            callee
            for callee in callees
            if callees.count(callee) > 1 and not callee.startswith("s.") and "." in callee
        }
        self.deadline = time.monotonic() + request["seconds"]
        self.closing = False
        self.journal = Journal(journal)
        folder = request.get("folder")
        self.mined = mining.mine_calls(Path(folder), self.surface.roots) if folder else {}
        self.stubs = mining.read_stubs(Path(request["site"]))
        self.subjects: dict[str, dict[str, Any]] = {}
        self.functions: dict[str, dict[str, Any]] = {}
        self.own: list[str] = []
        self.reached: set[str] = set()
        self._kinds: set[int] = set()

    # --- calling -----------------------------------------------------------------------------------------------------

    def evaluate(self, text: str, subject: Any = None, argument: Any = None) -> Tried:
        """Evaluate an expression, and take whatever happens."""
        if (
            text in self.never
            or text.partition("(")[0] in self.banned
            or (self._late() and not self.closing)
        ):
            return Tried(error=RuntimeError("ended an earlier attempt, or there is no time left"))
        self.journal.write(text)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        try:
            return Tried(result=_compiled(text, self.namespace)(subject, argument))
        except BaseException as error:
            return Tried(error=error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def make(self, text: str) -> Any:
        """Make a subject that could be made before."""
        return self.evaluate(text).result

    # --- whole walk --------------------------------------------------------------------------------------------------

    def learn(self) -> None:
        """Try everything public, twice: what needs a value of the package's own is reached the second time."""
        for text in self.request["recipes"]:
            self._recipe(text)
        public = [
            (text, value)
            for text, value in self.surface.iter_public()
            if text.rpartition(".")[2] not in values.NEVER
        ]
        for _ in range(2):
            for text, value in public:
                with contextlib.suppress(
                    Exception
                ):  # what is looked at may answer with code of its own
                    if isinstance(value, type):
                        self._construct(text, value)
                    else:
                        self._call(text, value)
                self._checkpoint()
            for make in list(self.subjects):
                with contextlib.suppress(Exception):
                    self._operate(make)
                self._checkpoint()

    def _checkpoint(self) -> None:
        """Write what is known by now, every second or so: the next call may end this process."""
        if time.monotonic() - self.written > 1:
            write(self.output, {**self.answer(), "complete": False})
            self.closing = False
            self.written = time.monotonic()

    def _recipe(self, text: str) -> None:
        tried = self.evaluate(text)
        if tried.error is None:
            self._note_value(text, tried.result)

    def _construct(self, text: str, kind: type) -> None:
        if any(subject["type"] == text for subject in self.subjects.values()):
            return
        for given in self._search(text + "({})", kind, range(4), wanted=5):
            self._note_value(f"{text}({given})", self.make(f"{text}({given})"), text)

    def _call(self, text: str, function: Any) -> None:
        if text in self.functions:
            return
        template = text + "({})"
        found = list(self._search(template, function, range(5), wanted=2))
        if found:
            operations = [
                one
                for one in (
                    self._described(template.format(given))
                    for given in self._varied(template, found)
                )
                if one
            ]
            operations += list(self._shared(template, found))
            if any(one["native"] for one in operations):
                self.functions[text] = {"name": text, "operations": operations[:12]}

    def _note_value(self, make: str, value: Any, text: str = "") -> None:
        """Take a value of the package's own as a subject, and as an argument for others."""
        kind = type(value)
        if (
            len(self.subjects) >= _MOST_SUBJECTS
            or make in self.subjects
            or value is None
            or len(make) > _LONGEST
        ):
            return
        self.surface.note_type(kind)
        ours = any(id(base) in self.surface.types for base in kind.__mro__)
        python = kind.__module__ in self.surface.modules and not is_native_type(kind)
        opaque = kind.__name__ == "PyCapsule"
        same = sum(subject["kind"] == id(kind) for subject in self.subjects.values())
        if not (ours or python or opaque) or same >= _ALIKE:
            return
        if same == 0:
            self.own.append(make)
        if not opaque:
            name = text or self.surface.types.get(id(kind)) or f"{kind.__module__}.{kind.__name__}"
            self.subjects[make] = {
                "make": make,
                "type": name,
                "kind": id(kind),
                "operations": {},
                "native": ours,
                "again": 0,
            }

    # --- operations on a subject -------------------------------------------------------------------------------------

    def _operate(self, make: str) -> None:
        subject = self.subjects[make]
        value = self.make(make)
        kind = type(value)
        for place, (name, template, arity) in enumerate(self._templates(value)):
            if (
                template in subject["operations"]
                or len(subject["operations"]) >= _MOST_OPERATIONS
                or self._late()
            ):
                continue
            if (
                place > _ENOUGH
                and not subject["native"]
                and not any(
                    one["native"] for listed in subject["operations"].values() for one in listed
                )
            ):
                return  # Python code that does not lead to anything native
            member = inspect.getattr_static(kind, name, None)
            arities = range(5) if arity is None else (arity,)
            found = (
                [""]
                if arity == 0
                else list(self._search(template, member, arities, make=make, wanted=2))
            )
            operations = [
                one for one in (self._described(template.format(given), make, name) for given in self._varied(template, found, make)) if one
            ]  # fmt: skip
            if operations or subject["again"]:
                subject["operations"][template] = operations
        subject["again"] += 1

    def _templates(self, value: Any) -> Iterator[tuple[str, str, int | None]]:
        """Give (attribute, expression with a place for arguments, how many arguments) of all that can be done with a value."""
        kind = type(value)
        for name in sorted(dir(kind), key=lambda name: (name.startswith("_"), name)):
            native = self.surface.find_attribute_name(kind, name)
            if (
                name in values.NEVER
                or _is_inherited(kind, name)
                or (name.startswith("_") and (not native or native not in self.surface.callables))
            ):
                continue
            member = inspect.getattr_static(kind, name, None)
            if name in SLOTS:
                if native:
                    yield name, *SLOTS[name]
                if native and name == "__iter__":
                    yield name, "iter(s)", 0
            elif callable(getattr(value, name, None)):
                yield name, f"s.{name}({{}})", None
            elif member is not None:
                yield name, f"s.{name}", 0
                if hasattr(type(member), "__set__"):
                    yield name, f"setattr(s, {name!r}, {{}})", 1
        if self.surface.types.get(id(kind)):
            yield "__traverse__", "gc.get_referents(s) and None", 0

    def _search(
        self, template: str, target: Any, arities: Any, *, make: str = "", wanted: int = 2
    ) -> list[str]:
        name = re.split(r"[.(]", template.removesuffix("({})"))[-1]

        def attempt(arguments: str) -> Tried:
            subject = self.make(make) if make else None
            return self.evaluate(template.format(arguments), subject)

        ready = list(self.mined.get(name, ()))
        parameters, required = self._parameters(target, name)
        if parameters is not None:
            arities = range(required, min(len(parameters), required + 2) + 1)
        search = Search(
            attempt, parameters=parameters, own=self.own[:6], hints=str(getattr(target, "__doc__", "") or "")[:4000],
            budget=Budget(deadline=self.deadline), wanted=wanted + (2 if ready else 0),
        )  # fmt: skip
        found = search.run(ready, arities)
        return list(dict.fromkeys(", ".join(vector) for vector in found))

    def _parameters(self, target: Any, name: str) -> tuple[list[tuple[str, str]] | None, int]:
        """Return the positional parameters of a callable, and how many of them it needs; None where nothing tells."""
        try:
            listed = list(inspect.signature(target).parameters.values())
        except (ValueError, TypeError):
            known = self.stubs.get(name) or parse_docstring(
                str(getattr(target, "__doc__", "") or ""), name
            )
            return known, len(known or ())
        if any(one.kind in {one.VAR_POSITIONAL, one.VAR_KEYWORD} for one in listed):
            known = self.stubs.get(name)
            return known, len(known or ())
        listed = [
            one
            for one in listed
            if one.name not in {"self", "cls"} and one.kind is not one.KEYWORD_ONLY
        ]
        required = sum(one.default is one.empty for one in listed)
        return [
            (one.name, "" if one.annotation is one.empty else str(one.annotation)) for one in listed
        ], required

    def _varied(self, template: str, found: list[str], make: str = "") -> Iterator[str]:
        """Give argument lists and, of the first ones, others with values of another shape."""
        yield from found[:3]
        fresh: list[str] = []
        for given in found[:2]:
            for other in iter_alternatives(given):
                if other not in fresh and len(fresh) < _VARIANTS:
                    tried = self.evaluate(template.format(other), self.make(make) if make else None)
                    if could(tried):
                        fresh.append(other)
        yield from fresh

    def _shared(self, template: str, found: list[str]) -> Iterator[dict[str, Any]]:
        """Give operations whose argument several threads share, where it is something that can be changed."""
        for given in found[:2]:
            for place, text in split_arguments(given):
                value = self.evaluate(text)
                kind = type(value.result).__name__
                candidates = [text] if kind in values.MUTATIONS else []
                for candidate in candidates:
                    shared = replace_argument(given, place, "a")
                    operation = self._described(template.format(shared), argument=candidate)
                    if operation:
                        yield {**operation, "argument": candidate, "mutations": kind}

    # --- what an operation does --------------------------------------------------------------------------------------

    def _described(
        self, text: str, make: str = "", name: str = "", argument: str = ""
    ) -> dict[str, Any] | None:
        """Run an operation alone a few times and say what it reaches, how long it takes, and whether its result is always the same."""
        subject = self.make(make) if make else None
        shared = self.make(argument) if argument else None
        first = self.evaluate(text, subject, shared)
        began = time.perf_counter()
        self.evaluate(text, subject, shared)
        seconds = time.perf_counter() - began
        if seconds > _SLOW_S or not could(first):
            return None
        self._note_value(
            f"(lambda s: {text})({make})" if make else text, first.result
        ) if not argument else None
        reached = self._reached(text, make, argument)
        if make and name and (direct := self.surface.find_attribute_name(type(subject), name)):
            reached.add(direct)
        self.reached |= reached
        results = [
            show_value(
                self.evaluate(
                    text,
                    self.make(make) if make else None,
                    self.make(argument) if argument else None,
                ).result
            )
            for _ in range(2)
        ]
        first_result = show_value(first.result) if first.error is None else None
        stable = (
            first.error is None
            and first_result is not None
            and all(result == first_result for result in results)
        )
        direct_call = (
            bool(make and self.surface.find_attribute_name(type(subject), name))
            or text.partition("(")[0] in self.surface.functions.values()
        )
        return {
            "text": text,
            "native": sorted(reached),
            "direct": direct_call,
            "result": first_result if stable else None,
            "changes": first_result == "None"
            or first.error is not None
            or text.startswith(_CHANGING),
            "us": round(seconds * 1e6, 1),
        }

    def _reached(self, text: str, make: str, argument: str) -> set[str]:
        """Return the native callables that an operation calls, itself or from Python code."""
        found: set[str] = set()
        made = not make  # a function that makes an object of ours is worth calling; a method in Python that does so is not

        def called(_code: object, _offset: int, function: Any, first: Any) -> None:
            if (
                is_native_function(function)
                and (name := self.surface.find_native_name(function, first))
            ) or (
                isinstance(function, type)
                and (name := self.surface.types.get(id(function)))
                and made
            ):
                found.add(name)

        subject = self.make(make) if make else None
        shared = self.make(argument) if argument else None
        tool = _TOOL
        monitoring.use_tool_id(tool, "wheelfarm")
        try:
            monitoring.register_callback(tool, monitoring.events.CALL, called)
            monitoring.set_events(tool, monitoring.events.CALL)
            self.evaluate(text, subject, shared)
        finally:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
        return found

    def _late(self) -> bool:
        late: bool = time.monotonic() > self.deadline
        return late

    # --- the answer --------------------------------------------------------------------------------------------------

    def answer(self) -> dict[str, Any]:
        """Return all that was learnt."""
        complete = not self._late()
        self.closing = True
        subjects = []
        for subject in self.subjects.values():
            operations = [one for listed in subject["operations"].values() for one in listed]
            if subject["native"] or any(
                one["native"] for one in operations
            ):  # Python code counts by what it reaches
                subjects.append({
                    "make": subject["make"], "type": subject["type"], "operations": operations,
                    "observe": self._observers(subject["make"], operations),
                })  # fmt: skip
        return {
            "prelude": sorted(self.surface.modules),
            "failed": self.surface.failed,
            "callables": sorted(self.surface.callables),
            "reached": sorted(self.reached),
            "subjects": subjects,
            "functions": list(self.functions.values()),
            "complete": complete,
        }

    def _observers(self, make: str, operations: list[dict[str, Any]]) -> list[str]:
        """Return the operations that tell a subject's state: those that change neither it nor one another's results."""
        chosen = [
            one["text"]
            for one in operations
            if one["result"] not in {None, "None"} and _BARE.fullmatch(one["text"])
        ][:25]
        subject = self.make(make)
        for _ in range(3):
            first = [show_value(self.evaluate(text, subject).result) for text in chosen]
            second = [show_value(self.evaluate(text, subject).result) for text in chosen]
            same = [
                text
                for text, one, two in zip(chosen, first, second, strict=True)
                if one == two and one is not None
            ]
            if same == chosen:
                break
            chosen = same
        return chosen[:12]


def could(tried: Tried) -> bool:
    """Return whether a call had the right shape: it worked, or failed for what the object holds at the moment."""
    return tried.error is None or isinstance(
        tried.error, (LookupError, ValueError, OverflowError, BufferError)
    )


def _compiled(text: str, namespace: dict[str, Any]) -> Callable[[Any, Any], Any]:
    if text not in _CODE:
        if len(_CODE) > _MOST_CODE:
            _CODE.clear()
        _CODE[text] = eval(f"lambda s, a: {text}", namespace)
    return _CODE[text]


def _is_inherited(kind: type, name: str) -> bool:
    """Return whether a class of the interpreter's own defines an attribute."""
    definer = next((base for base in kind.__mro__ if name in base.__dict__), object)
    return definer.__module__ in {"builtins", "abc", "typing", "enum", "collections"}


def write(output: str, answer: dict[str, Any]) -> None:
    """Write an answer whole or not at all."""
    aside = Path(output + ".new")
    aside.write_text(json.dumps(answer))
    aside.replace(output)


def _impatient(_number: int, _frame: object) -> None:
    raise TimeoutError("this call takes long")


def main() -> None:
    """Learn, and write what was learnt."""
    request, output, journal = sys.argv[1:]
    memory.limit_address_space()
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - what is called may print
    signal.signal(signal.SIGALRM, _impatient)
    learner = Learner(json.loads(Path(request).read_text()), output + ".part", journal)
    learner.learn()
    write(output, learner.answer())
    os._exit(0)  # what was called may have left threads and handlers that end badly


if __name__ == "__main__":
    main()
