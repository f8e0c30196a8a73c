"""Find arguments for the package's callables, by what its tests, stubs and signatures tell, and by trying."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import mining, values
from .calling import Budget, Search, Tried, took_arguments
from .evaluator import Evaluator
from .expressions import iter_alternatives, parse_docstring, replace_argument, split_arguments
from .values import Parameter

# How far the search goes. None of this is measured: each of it multiplies the calls that are tried.
_MOST_OWN = 6  # values of the package's own types
_MOST_VARIANTS = 6  # argument lists that are alternatives to those found
_MOST_FOUND = 3  # argument lists that are used as they were found
_MOST_VARIED = 2  # argument lists that alternatives, or shared arguments, are made of
_MOST_OPTIONAL = 2  # parameters with a default that are given all the same
_EXTRA_WANTED = (
    2  # argument lists more where tests have some: these are what the package is used with
)
_LONGEST_DOCSTRING = 4000  # characters

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class SharedArgument(NamedTuple):
    """An argument that threads can share.

    Attributes:
        argument_list: the argument list, with `a` in its place.
        text: an expression that makes it.
        type_name: the name of its type.
    """

    argument_list: str
    text: str
    type_name: str


class ArgumentFinder:
    """Finds argument lists that templates take.

    Attributes:
        mined: argument lists in the package's own tests and examples, by called name.
        stubs: required parameters by called name.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        own: list[str],
        *,
        folder: str | None,
        site: str,
        roots: set[str],
    ) -> None:
        """Read the package's tests and stubs.

        Args:
            evaluator: makes calls.
            own: expressions of values of the package's own types; more may come.
            folder: the unpacked sdist, if there is one.
            site: where the package is installed.
            roots: import names of the package.
        """
        self._evaluator = evaluator
        self._own = own
        self.mined: Mapping[str, Sequence[str]] = {}
        if folder:
            self.mined = mining.mine_calls(Path(folder), roots)
        self.stubs = mining.read_stubs(Path(site))

    def find(
        self, template: str, target: object, arities: Iterable[int], *, make: str = "", wanted: int
    ) -> list[str]:
        """Return argument lists that a template takes, those of the package's own tests first.

        Args:
            template: an expression with a place for arguments.
            target: what it calls.
            arities: how many arguments to try where nothing tells.
            make: makes the subject, if the template has one.
            wanted: how many argument lists are enough.
        """

        def attempt(argument_list: str) -> Tried:
            subject = self._evaluator.make(make)
            return self._evaluator.evaluate(template.format(argument_list), subject)

        called_name = re.split(r"[.(]", template.removesuffix("({})"))[-1]
        ready = self.mined.get(called_name, ())
        parameters, required = self._find_parameters(target, called_name)
        if parameters is not None:
            most = min(len(parameters), required + _MOST_OPTIONAL)
            arities = range(required, most + 1)

        search = Search(
            attempt,
            parameters=parameters,
            own=self._own[:_MOST_OWN],
            hints=_read_docstring(target)[:_LONGEST_DOCSTRING],
            budget=Budget(deadline=self._evaluator.deadline),
            wanted=wanted + (_EXTRA_WANTED if ready else 0),
        )
        found = [", ".join(vector) for vector in search.run(ready, arities)]

        return list(dict.fromkeys(found))

    def _find_parameters(self, target: object, name: str) -> tuple[list[Parameter] | None, int]:
        """Return the positional parameters of a callable, and how many of them it needs; None where nothing tells."""
        signature = _read_signature(target)
        if signature is None:
            known = self.stubs.get(name) or parse_docstring(_read_docstring(target), name)
            return known, len(known or ())

        listed = list(signature.parameters.values())
        if any(parameter.kind in _VARIADIC for parameter in listed):
            known = self.stubs.get(name)  # a signature such as `(*args, **kwargs)` tells nothing
            return known, len(known or ())

        parameters: list[Parameter] = []
        required = 0
        for parameter in listed:
            is_bound = parameter.name in {"self", "cls"}
            if is_bound or parameter.kind is parameter.KEYWORD_ONLY:
                continue

            has_annotation = parameter.annotation is not parameter.empty
            annotation = str(parameter.annotation) if has_annotation else ""
            parameters.append((parameter.name, annotation))
            if parameter.default is parameter.empty:
                required += 1

        return parameters, required

    def iter_varied(self, template: str, found: Sequence[str], make: str = "") -> Iterator[str]:
        """Give argument lists and, of the first ones, others with values of another shape."""
        yield from found[:_MOST_FOUND]

        fresh: list[str] = []
        for argument_list in found[:_MOST_VARIED]:
            for other in iter_alternatives(argument_list):
                if other in fresh or len(fresh) >= _MOST_VARIANTS:
                    continue
                subject = self._evaluator.make(make)
                if took_arguments(self._evaluator.evaluate(template.format(other), subject)):
                    fresh.append(other)

        yield from fresh

    def iter_shared(self, found: Sequence[str]) -> Iterator[SharedArgument]:
        """Give the arguments of the first argument lists that threads can share and change."""
        for argument_list in found[:_MOST_VARIED]:
            for place, text in split_arguments(argument_list):
                value = self._evaluator.evaluate(text).result
                type_name = type(value).__name__
                if type_name in values.MUTATIONS:
                    with_shared = replace_argument(argument_list, place, "a")
                    yield SharedArgument(with_shared, text, type_name)


def _read_signature(target: object) -> inspect.Signature | None:
    """Return a callable's signature, or None where it tells none, as native code mostly does."""
    if not callable(target):
        return None
    try:
        return inspect.signature(target)
    except (ValueError, TypeError):
        return None


def _read_docstring(target: object) -> str:
    """Return a callable's docstring, which need not be a text."""
    return str(getattr(target, "__doc__", "") or "")
