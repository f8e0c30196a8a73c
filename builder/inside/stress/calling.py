"""Find arguments that a callable takes, by trying values and following what its errors tell apart."""

import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import values

_ARITY = re.compile(
    r"takes|expected|expects|requires|missing|exactly|at least|at most|too many|too few|unexpected keyword"
)
_QUOTED = re.compile(r"['\"]([A-Za-z0-9_.:+-]{1,20})['\"]")
_NUMBERS = re.compile(r"\b\d{1,6}\b")
_PLACE = re.compile(r"\bargument (?:no\. |#)?([1-9])\b")
_MOST_ARGUMENTS = 5
_HOMOGENEOUS = 8
_FEW = 4
_ALIKE = 2
_SOME = 12
_GIVEN = re.compile(
    r",? (?:but )?(?:not|got) .*$|\(.* given\)$|'\w+'(?= object cannot be interpreted)"
)
_DOMAIN = (ValueError, IndexError, KeyError, OverflowError, LookupError)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one call: a result, or an error."""

    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Budget:
    """How much may be tried for one callable.

    Attributes:
        tries: calls.
        seconds: time, of this callable.
        deadline: end of the whole search, by the monotonic clock.
    """

    tries: int = 260
    seconds: float = 0.25
    deadline: float = float("inf")
    spent: int = 0
    began: float = field(default_factory=time.monotonic)

    def take(self) -> bool:
        """Use up one try and return whether it was there."""
        self.spent += 1
        now = time.monotonic()
        return self.spent <= self.tries and now - self.began < self.seconds and now < self.deadline


class Search:
    """Looks for argument lists that a callable takes without an exception.

    Attributes:
        attempt: calls with arguments, given as one text.
        parameters: name and annotation of the parameters, where a signature tells.
        own: expressions of values of the package's own types.
        hints: a docstring, whose quoted words may be values.
        budget: how much to try.
        wanted: how many argument lists are enough.
    """

    def __init__(
        self, attempt: Callable[[str], Tried], *, parameters: list[tuple[str, str]] | None, own: list[str], hints: str,
        budget: Budget, wanted: int,
    ) -> None:  # fmt: skip
        self.attempt = attempt
        self.parameters = parameters
        self.budget = budget
        self.wanted = wanted
        words = [repr(word) for word in dict.fromkeys(_QUOTED.findall(hints))][:6]
        self.pool = [*own, *values.COMPACT, *words]
        self._found = 0
        self._alike: Counter[int] = Counter()
        self._errors: set[str] = set()
        self._queue: deque[tuple[str, ...]] = deque()

    def run(self, ready: Iterable[str], arities: Iterable[int]) -> Iterator[tuple[str, ...]]:
        """Give argument lists.

        Args:
            ready: argument lists worth trying first, as text.
            arities: how many arguments to try.
        """
        for text in ready:
            if self._found < self.wanted and self.budget.take() and worked(self.attempt(text)):
                self._found += 1
                yield (text,)
        seeds = set(_seeds(self.parameters, arities))
        self._queue.extend(_seeds(self.parameters, arities))
        seen: set[tuple[str, ...]] = set()
        while self._queue and self._found < self.wanted:
            vector = self._queue.popleft()
            if vector in seen or not self.budget.take():
                continue
            seen.add(vector)
            tried = self.attempt(", ".join(vector))
            if worked(tried) and self._alike[len(vector)] < _ALIKE:
                self._found += 1
                self._alike[len(vector)] += 1
                yield vector
            if tried.error is not None:
                self._follow(vector, tried.error, first=vector in seeds)
            elif self.wanted > _FEW:  # of constructors, other ways are wanted too
                self._queue.extend(_neighbours(vector, self.parameters, self.pool[:_SOME]))

    def _follow(self, vector: tuple[str, ...], error: BaseException, *, first: bool) -> None:
        """Queue what is near a call whose error is a new one."""
        message = f"{type(error).__name__}: {error}"[:300]
        place = _place(message, len(vector), [name for name, _ in self.parameters or ()])
        plain = f"{len(vector)} {place} {_NUMBERS.sub('#', _GIVEN.sub('', message))}"
        if plain in self._errors or _is_arity(error, message):
            return
        self._errors.add(plain)
        pool, mentioned = self.pool, list[str]()
        if isinstance(error, _DOMAIN) or "must be" in message or "expected" in message:
            mentioned = [
                *(repr(word) for word in _QUOTED.findall(message)),
                *_NUMBERS.findall(message),
            ]
            pool = [*pool, *values.WIDER]
        near = [*_neighbours(vector, self.parameters, pool)]
        if isinstance(error, _DOMAIN):  # what one argument may not be, its like may not be either
            near += _together(vector, self.parameters, pool)
        if (
            place is not None
        ):  # the error tells which argument it is: no other is worth a try before
            near = [*_neighbours(vector, self.parameters, self.pool, (place,)), *near]
        if first and place is None:
            self._queue.extend(near)
        else:  # a new error after a change is a step forward: go on from there before anything else
            self._queue.extendleft(reversed(near))
        # What the error itself names comes before all.
        self._queue.extendleft(
            reversed([*_neighbours(vector, None, mentioned, None if place is None else (place,))])
        )


def worked(tried: Tried) -> bool:
    """Return whether a call worked, or found nothing in an object that is still empty."""
    return tried.error is None or isinstance(tried.error, (IndexError, KeyError))


def _seeds(
    parameters: list[tuple[str, str]] | None, arities: Iterable[int]
) -> Iterator[tuple[str, ...]]:
    for arity in arities:
        for unknown in (
            values.COMPACT[:_HOMOGENEOUS]
            if 0 < arity <= _MOST_ARGUMENTS
            else values.COMPACT[: arity == 0]
        ):
            named = parameters[:arity] if parameters else []
            kinds = [(values.kind_of(*one) or (unknown,))[0] for one in named]
            yield (*kinds, *[unknown] * (arity - len(kinds)))


def _is_arity(error: BaseException, message: str) -> bool:
    return (
        isinstance(error, TypeError)
        and "argument" in message
        and "must be" not in message
        and bool(_ARITY.search(message))
    )


def _place(message: str, arity: int, names: list[str]) -> int | None:
    """Return the place of the argument that an error names, by its number or by its parameter's name."""
    match = _PLACE.search(message)
    if match and int(match[1]) <= arity:
        return int(match[1]) - 1
    named = [
        place
        for place, name in enumerate(names[:arity])
        if re.search(rf"\b{re.escape(name)}\b", message)
    ]
    return named[0] if len(named) == 1 else None


def _together(
    vector: tuple[str, ...], parameters: list[tuple[str, str]] | None, pool: list[str]
) -> Iterator[tuple[str, ...]]:
    """Give every vector in which a value that stands in several places is another in all of them."""
    for place, old in enumerate(vector):
        if vector.index(old) == place and vector.count(old) > 1:
            likely = (
                values.kind_of(*parameters[place]) if parameters and place < len(parameters) else ()
            )
            for value in dict.fromkeys((*likely, *pool)):
                yield tuple(value if one == old else one for one in vector)


def _neighbours(
    vector: tuple[str, ...], parameters: list[tuple[str, str]] | None, pool: list[str],
    places: Iterable[int] | None = None,
) -> Iterator[tuple[str, ...]]:  # fmt: skip
    """Give every vector that differs in one place, or in one of some places; the likeliest of all places first."""
    choices: list[list[tuple[str, ...]]] = []
    for place in range(len(vector)) if places is None else places:
        likely = (
            values.kind_of(*parameters[place]) if parameters and place < len(parameters) else ()
        )
        others = [value for value in dict.fromkeys((*likely, *pool)) if value != vector[place]]
        choices.append([(*vector[:place], value, *vector[place + 1 :]) for value in others])
    for rank in itertools.zip_longest(*choices):
        yield from (near for near in rank if near is not None)
