"""Find arguments for the package's callables, by what its tests, stubs and signatures tell, and by trying."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..calls import values
from ..calls.expressions import (
    iter_alternatives,
    parse_docstring,
    replace_argument,
    split_arguments,
)
from ..calls.values import Parameter
from . import mining
from .calling import Budget, Search, Tried, took_arguments
from .evaluator import Evaluator

# How far the search goes. None of this is measured: each of it multiplies the calls that are tried.
_MOST_OWN = 6  # values of the package's own types
_MOST_VARIANTS = 6  # argument lists that are alternatives to those found
_MOST_FOUND = 3  # argument lists that are used as they were found
_MOST_VARIED = 2  # argument lists that alternatives, or shared arguments, are made of
_MOST_OPTIONAL = 2  # parameters with a default that are given all the same
_EXTRA_WANTED = 2
"""Argument lists more where tests have some: these are what the package is used with."""
_MOST_SHARED_PLACES = 2  # arguments in whose place something is given that threads can change
_LONGEST_DOCSTRING = 4000  # characters

_KEYWORD_ONLY = re.compile(r"keyword[- ]only argument(?:s|\(s\))?:? '?(\w+)'?")
"""How an error names an argument that has to be given by its name: Python's words, and Cython's."""
_MOST_KEYWORDS = 3

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class SharedArgument(NamedTuple):
    """An argument that threads can share.

    Attributes:
        argument_list: an argument list in which `a` stands for the shared argument, such as `a, 8`.
        text: an expression that makes the shared argument, such as `[1, 2, 3]`.
        type_name: the name of its type, such as `list`.
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
        recorded: Mapping[str, Sequence[str]],
        reading_s: float,
    ) -> None:
        """Read the package's tests and stubs.

        Args:
            evaluator: makes calls.
            own: expressions of values of the package's own types. The list is kept, not copied: the caller adds to it.
            folder: the unpacked sdist, if there is one.
            site: where the package is installed.
            roots: import names of the package.
            recorded: argument lists by called name, as the package's tests gave them while they ran.
            reading_s: most time to read tests and examples, in seconds.
        """
        self._evaluator = evaluator
        self._own = own
        read: Mapping[str, Sequence[str]] = {}
        if folder:
            read = mining.mine_calls(Path(folder), roots, reading_s)
        # What was given while the tests ran is what the package is used with: it comes first.
        self.mined: dict[str, list[str]] = {}
        for name in (*recorded, *read):
            both = (*recorded.get(name, ()), *read.get(name, ()))
            self.mined[name] = list(dict.fromkeys(both))
        self.stubs = mining.read_stubs(Path(site))

    def find(
        self,
        template: str,
        target: object,
        arities: Iterable[int],
        *,
        make: str = "",
        wanted: int,
        prefers_known: bool = False,
    ) -> list[str]:
        """Return argument lists that a template can be called with, such as `["'ab', 8"]`; empty where none was found.

        Those of the package's own tests are tried first, so they come first.

        Args:
            template: an expression in which `{}` stands for the argument list, such as `pkg.get({})`.
            target: the callable that the template calls: its signature and docstring are read.
            arities: numbers of arguments to try where neither a signature nor a stub tells how many there are.
            make: an expression that makes the subject, i.e. the object `s` of the template; empty where there is none.
            wanted: how many argument lists are enough.
            prefers_known: whether nothing is guessed where those of the package's own tests work.
        """
        keywords = _suggest_keywords(target)

        def attempt(argument_list: str) -> Tried:
            # A new subject for each attempt: the one before may have changed or closed it.
            subject = self._evaluator.make(make)
            text = template.format(_add_keywords(argument_list, keywords))
            tried = self._evaluator.evaluate(text, subject)

            missing = _KEYWORD_ONLY.search(str(tried.error)) if tried.error is not None else None
            if missing and missing[1] not in keywords and len(keywords) < _MOST_KEYWORDS:
                likely = values.suggest_values(missing[1])
                keywords[missing[1]] = likely[0] if likely else "8"
                return attempt(argument_list)
            return tried

        # `s.table.get({})` -> `get`: tests and stubs are looked up by the last part of the name.
        called_name = re.split(r"[.(]", template.removesuffix("({})"))[-1]
        mined_lists = self.mined.get(called_name, ())
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
            wanted=wanted + (_EXTRA_WANTED if mined_lists else 0),
            prefers_ready=prefers_known,
        )
        argument_lists: list[str] = []
        for vector in search.run(mined_lists, arities):
            argument_lists.append(_add_keywords(", ".join(vector), keywords))

        return list(dict.fromkeys(argument_lists))

    def _find_parameters(self, target: object, name: str) -> tuple[list[Parameter] | None, int]:
        """Return a callable's positional parameters, and how many of them must be given.

        The signature is asked first, then the package's stubs, then the docstring. The parameters are None where none
        of these tells: the number of arguments has to be found by trying.
        """
        signature = _read_signature(target)
        if signature is None:
            described = self.stubs.get(name) or parse_docstring(_read_docstring(target), name)
            return described, len(described or ())

        in_signature = list(signature.parameters.values())
        if any(parameter.kind in _VARIADIC for parameter in in_signature):
            # A signature such as `(*args, **kwargs)` tells nothing.
            described = self.stubs.get(name)
            return described, len(described or ())

        parameters: list[Parameter] = []
        required = 0
        for parameter in in_signature:
            # The call itself gives what is bound, and the search tries positional arguments only.
            is_bound = parameter.name in {"self", "cls"}
            is_keyword_only = parameter.kind is parameter.KEYWORD_ONLY
            if is_bound or is_keyword_only:
                continue

            has_annotation = parameter.annotation is not parameter.empty
            annotation = str(parameter.annotation) if has_annotation else ""
            parameters.append((parameter.name, annotation))
            if parameter.default is parameter.empty:
                required += 1

        return parameters, required

    def iter_varied(
        self, template: str, argument_lists: Sequence[str], make: str = ""
    ) -> Iterator[str]:
        """Give some of the argument lists as they are, then variants of the first ones that the call takes as well.

        A variant has one literal replaced, such as a short text by a long one: native code may treat it differently.

        Args:
            template: an expression in which `{}` stands for the argument list.
            argument_lists: what the template takes, as `find` returned it.
            make: an expression that makes the subject; empty where there is none.
        """
        yield from argument_lists[:_MOST_FOUND]

        variants: list[str] = []
        for argument_list in argument_lists[:_MOST_VARIED]:
            for variant in iter_alternatives(argument_list):
                is_repeated = variant in variants
                is_full = len(variants) >= _MOST_VARIANTS
                if is_repeated or is_full:
                    continue
                subject = self._evaluator.make(make)
                if took_arguments(self._evaluator.evaluate(template.format(variant), subject)):
                    variants.append(variant)

        yield from variants

    def iter_shared(self, argument_lists: Sequence[str]) -> Iterator[SharedArgument]:
        """Give arguments that threads could share and change: those of the first argument lists, then others.

        In the place of a list also one is given whose items let other threads run while they are asked for something.
        In the place of any argument a list, a dictionary, a bytearray and a set are given as well: whether the call
        takes them is for the caller to see. values.MUTATIONS has what threads could do to them.
        """
        given: set[tuple[int, str]] = set()
        for argument_list in argument_lists[:_MOST_VARIED]:
            for position, text in split_arguments(argument_list):
                value = self._evaluator.evaluate(text).result
                type_name = type(value).__name__
                if type_name in values.MUTATIONS:
                    given.add((position, type_name))
                    with_shared = replace_argument(argument_list, position, "a")
                    yield SharedArgument(with_shared, text, type_name)
                    if type_name == "list":
                        yield SharedArgument(with_shared, values.PAUSING_ITEMS, type_name)

        for argument_list in argument_lists[:1]:
            for position, _ in split_arguments(argument_list)[:_MOST_SHARED_PLACES]:
                for type_name, text in values.SHAREABLE.items():
                    if (position, type_name) not in given:
                        with_shared = replace_argument(argument_list, position, "a")
                        yield SharedArgument(with_shared, text, type_name)


def _read_signature(target: object) -> inspect.Signature | None:
    """Return a callable's signature, or None where it has none that can be read: native code mostly has not."""
    if not callable(target):
        return None
    try:
        return inspect.signature(target)
    except (ValueError, TypeError):
        return None


def _suggest_keywords(target: object) -> dict[str, str]:
    """Return likely values of the parameters that must be given by their names."""
    signature = _read_signature(target)
    keywords: dict[str, str] = {}
    for parameter in signature.parameters.values() if signature is not None else ():
        is_required = parameter.default is parameter.empty
        if parameter.kind is parameter.KEYWORD_ONLY and is_required:
            likely = values.suggest_values(parameter.name, str(parameter.annotation))
            keywords[parameter.name] = likely[0] if likely else "8"

    return keywords


def _add_keywords(argument_list: str, keywords: Mapping[str, str]) -> str:
    """Return an argument list with further arguments by name, unless it has these already."""
    parts = [argument_list] if argument_list else []
    for name, text in keywords.items():
        if f"{name}=" not in argument_list:
            parts.append(f"{name}={text}")

    return ", ".join(parts)


def _read_docstring(target: object) -> str:
    """Return a callable's docstring, which need not be a text."""
    return str(getattr(target, "__doc__", "") or "")
