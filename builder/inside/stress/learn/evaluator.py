"""Evaluate expressions that call native code: one at a time, in one thread, each noted before it is made."""

import copy
import gc
import importlib
import itertools
import operator
import pickle
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..calls import values
from ..process.journal import Journal
from .calling import Tried

_PATIENCE_S = 0.3
"""How long a call may take before it is interrupted. Not measured; operations.py leaves out what takes much less."""

_MOST_CODE = 5000
"""How many compiled expressions are kept: most of them are tried once, and some are tried again and again."""

_TYPE_MARK = "  # "
"""Between a call in the journal and the type of its subject."""

_Code = Callable[[object, object], object]


class Evaluator:
    """Evaluates expressions in which `s` is a subject and `a` an argument.

    Attributes:
        deadline: when calls end, by the monotonic clock.
        is_closing: whether what was learnt is being written down: that makes its calls however late it is.
    """

    def __init__(
        self, roots: Iterable[str], never: Collection[str], journal: Journal, deadline: float
    ) -> None:
        """Prepare what expressions may name.

        Args:
            roots: import names of the package.
            never: calls that ended an earlier attempt.
            journal: where each call is noted before it is made.
            deadline: when calls end, by the monotonic clock.
        """
        self.is_closing = False
        self._never = set(never)
        self._banned = _find_banned(never)
        self._journal = journal
        self.deadline = deadline
        self._code: dict[str, _Code] = {}

        self._namespace: dict[str, Any] = {
            "values": values,
            "operator": operator,
            "itertools": itertools,
            "copy": copy,
            "pickle": pickle,
            "gc": gc,
        }
        for name in values.STANDARD:
            self._namespace[name] = importlib.import_module(name)
        for root in roots:
            self._namespace[root] = sys.modules[root]

    def is_late(self) -> bool:
        """Return whether there is no time left."""
        return time.monotonic() > self.deadline

    def evaluate(self, text: str, subject: object = None, argument: object = None) -> Tried:
        """Evaluate an expression; return its result, or whatever exception it raised.

        It is not evaluated, and the error says so, where it ended an earlier attempt or there is no time left.

        Args:
            text: the expression, in which `s` is the subject and `a` the shared argument.
            subject: the object that the expression works on; None where it needs none.
            argument: the argument that threads would share; None where it needs none.
        """
        entry = _name_call(text, subject)
        if self._is_refused(entry):
            return Tried(error=RuntimeError("ended an earlier attempt, or there is no time left"))

        self._journal.write(entry)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S)
        try:
            return Tried(result=self._compile(text)(subject, argument))
        except BaseException as error:  # also SystemExit: what is called may try to end the program
            return Tried(error=error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def make(self, text: str) -> object:
        """Make an object by an expression that worked before; None where there is no expression."""
        return self.evaluate(text).result if text else None

    def _is_refused(self, entry: str) -> bool:
        """Return whether a call must not be made: it would end the process, or there is no time left."""
        if entry in self._never or _name_callee(entry) in self._banned:
            return True

        return self.is_late() and not self.is_closing

    def _compile(self, text: str) -> _Code:
        """Return an expression as a function of `s` and `a`; a limited number of them is kept."""
        if text not in self._code:
            if len(self._code) > _MOST_CODE:
                self._code.clear()
            self._code[text] = eval(f"lambda s, a: {text}", self._namespace)

        return self._code[text]


def _name_call(text: str, subject: object) -> str:
    """Return a call as the journal has it: with the type of the subject, if there is one, as a comment.

    `s.read(8)` on a reader -> `s.read(8)  # pkg.Reader`: another type may have a method of that name.
    """
    if subject is None:
        return text

    kind = type(subject)
    return f"{text}{_TYPE_MARK}{kind.__module__}.{kind.__qualname__}"


def _name_callee(entry: str) -> str:
    """Return what a call calls, with the type of the subject, if there is one: `s.read  # pkg.Reader`."""
    call, mark, type_name = entry.partition(_TYPE_MARK)
    return f"{call.partition('(')[0]}{mark}{type_name}"


def _find_banned(never: Iterable[str]) -> set[str]:
    """Return the callables that ended more than one attempt: other arguments will hardly do better.

    `["pkg.run(1)", "pkg.run('a')", "pkg.get(1)"]` -> `{"pkg.run"}`. Methods count by the type of their subject; without
    one they are skipped, and so is what has no name of its own, such as `len(s)`.

    Args:
        never: calls that each ended the process.
    """
    callees = [_name_callee(entry) for entry in never]
    banned: set[str] = set()
    for callee in callees:
        is_method = callee.startswith("s.")
        is_known = _TYPE_MARK in callee if is_method else "." in callee
        if is_known and callees.count(callee) > 1:
            banned.add(callee)

    return banned
