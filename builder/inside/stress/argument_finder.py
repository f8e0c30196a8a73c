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
_EXTRA_WANTED = 2
"""Argument lists more where tests have some: these are what the package is used with."""
_LONGEST_DOCSTRING = 4000  # characters

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
    ) -> None:
        """Read the package's tests and stubs.

        Args:
            evaluator: makes calls.
            own: expressions of values of the package's own types. The list is kept, not copied: the caller adds to it.
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
        """Return argument lists that a template can be called with, such as `["'ab', 8"]`; empty where none was found.

        Those of the package's own tests are tried first, so they come first.

        Args:
            template: an expression in which `{}` stands for the argument list, such as `pkg.get({})`.
            target: the callable that the template calls: its signature and docstring are read.
            arities: numbers of arguments to try where neither a signature nor a stub tells how many there are.
            make: an expression that makes the subject, i.e. the object `s` of the template; empty where there is none.
            wanted: how many argument lists are enough.
        """

        def attempt(argument_list: str) -> Tried:
            # A new subject for each attempt: the one before may have changed or closed it.
            subject = self._evaluator.make(make)
            return self._evaluator.evaluate(template.format(argument_list), subject)

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
        )
        argument_lists = [", ".join(vector) for vector in search.run(mined_lists, arities)]

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
        """Give each argument that threads could share and change, such as a list, of the first argument lists.

        Arguments of other types are skipped: values.MUTATIONS knows of nothing that threads could do to them.
        """
        for argument_list in argument_lists[:_MOST_VARIED]:
            for position, text in split_arguments(argument_list):
                value = self._evaluator.evaluate(text).result
                type_name = type(value).__name__
                if type_name in values.MUTATIONS:
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


def _read_docstring(target: object) -> str:
    """Return a callable's docstring, which need not be a text."""
    return str(getattr(target, "__doc__", "") or "")
