"""Find arguments that a callable takes, by trying values and following what its errors tell apart."""

import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from . import values
from .values import Parameter

_ARITY = re.compile(
    r"takes|expected|expects|requires|missing|exactly|at least|at most|too many|too few|unexpected keyword"
)
_QUOTED = re.compile(r"['\"]([A-Za-z0-9_.:+-]{1,20})['\"]")
_NUMBERS = re.compile(r"\b\d{1,6}\b")
_PLACE = re.compile(r"\bargument (?:no\. |#)?([1-9])\b")
_GIVEN = re.compile(
    r",? (?:but )?(?:not|got) .*$|\(.* given\)$|'\w+'(?= object cannot be interpreted)"
)
"""What an error says of the value that was given: it changes with each try, and tells no errors apart."""

_DOMAIN = (ValueError, IndexError, KeyError, OverflowError, LookupError)
"""Errors about an argument's value: its type was right."""

_MOMENTARY = (LookupError, ValueError, OverflowError, BufferError)
"""Errors that the same arguments need not cause on another object, or later."""

# How far a search goes. Not measured: round figures that keep the queue from growing faster than a budget can empty it.
_MOST_ARGUMENTS = 5
_MOST_FILLERS = 8  # values a whole argument list is made of at first
_MOST_WORDS = 6  # of a docstring
_MOST_OTHERS = 12  # values that are tried for each argument of a call that worked
_MOST_ALIKE = 2  # argument lists of one length: those of other lengths show more
_MANY = (
    4  # who wants more argument lists than this wants them for the objects that a constructor makes
)
_LONGEST_MESSAGE = 300  # characters; an error may quote a whole argument

ArgumentVector = tuple[str, ...]
"""Positional arguments, each an expression."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one call: a result, or an error."""

    result: object = None
    error: BaseException | None = None


@dataclass(slots=True)
class Budget:
    """How much may be tried for one callable.

    The defaults are not measured: they keep a callable that refuses everything from taking the time of all others.

    Attributes:
        tries: calls.
        seconds: time, of this callable.
        deadline: end of the whole search, by the monotonic clock.
        spent: calls that were made.
        began: when the search began, by the monotonic clock.
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
        has_tries = self.spent <= self.tries
        has_time = now - self.began < self.seconds and now < self.deadline

        return has_tries and has_time


class Search:
    """Looks for argument lists that a callable takes without an exception.

    Attributes:
        attempt: calls with arguments, given as one text.
        parameters: the parameters, where a signature tells them.
        budget: how much to try.
        wanted: how many argument lists are enough.
        pool: values to try, the likeliest first.
    """

    def __init__(
        self,
        attempt: Callable[[str], Tried],
        *,
        parameters: Sequence[Parameter] | None,
        own: Sequence[str],
        hints: str,
        budget: Budget,
        wanted: int,
    ) -> None:
        """Prepare a search.

        Args:
            attempt: calls with arguments, given as one text.
            parameters: the parameters, where a signature tells them.
            own: expressions of values of the package's own types.
            hints: a docstring, whose quoted words may be values.
            budget: how much to try.
            wanted: how many argument lists are enough.
        """
        self.attempt = attempt
        self.parameters = parameters
        self.budget = budget
        self.wanted = wanted

        words = [repr(word) for word in dict.fromkeys(_QUOTED.findall(hints))]
        self.pool = [*own, *values.COMPACT, *words[:_MOST_WORDS]]

        self._found = 0
        self._alike: Counter[int] = Counter()
        self._errors: set[str] = set()
        self._queue: deque[ArgumentVector] = deque()

    def run(self, ready: Iterable[str], arities: Iterable[int]) -> Iterator[ArgumentVector]:
        """Give argument lists.

        Args:
            ready: argument lists worth trying first, as text.
            arities: how many arguments to try.
        """
        yield from self._try_ready(ready)

        seeds = list(_iter_seeds(self.parameters, arities))
        first_vectors = set(seeds)
        self._queue.extend(seeds)
        seen: set[ArgumentVector] = set()
        while self._queue and self._found < self.wanted:
            vector = self._queue.popleft()
            if vector in seen or not self.budget.take():
                continue
            seen.add(vector)

            tried = self.attempt(", ".join(vector))
            if has_worked(tried) and self._alike[len(vector)] < _MOST_ALIKE:
                self._found += 1
                self._alike[len(vector)] += 1
                yield vector

            if tried.error is not None:
                self._follow(vector, tried.error, is_first=vector in first_vectors)
            elif self.wanted > _MANY:  # of constructors, other ways are wanted too
                others = self.pool[:_MOST_OTHERS]
                self._queue.extend(_iter_neighbours(vector, self.parameters, others))

    def _try_ready(self, ready: Iterable[str]) -> Iterator[ArgumentVector]:
        for text in ready:
            is_wanted = self._found < self.wanted
            if is_wanted and self.budget.take() and has_worked(self.attempt(text)):
                self._found += 1
                yield (text,)

    def _follow(self, vector: ArgumentVector, error: BaseException, *, is_first: bool) -> None:
        """Queue what is near a call whose error is a new one."""
        message = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
        names = [name for name, _ in self.parameters or ()]
        place = _find_place(message, len(vector), names)

        # Two errors are one where they differ in what was given, or in a number.
        plain_message = _NUMBERS.sub("#", _GIVEN.sub("", message))
        known_as = f"{len(vector)} {place} {plain_message}"
        if known_as in self._errors or _is_about_arity(error, message):
            return
        self._errors.add(known_as)

        near = self._find_near(vector, error, message, place)
        if is_first and place is None:
            self._queue.extend(near)
        else:  # a new error after a change is a step forward: go on from there before anything else
            self._queue.extendleft(reversed(near))

        # What the error itself names comes before all.
        if _is_about_value(error, message):
            words = [repr(word) for word in _QUOTED.findall(message)]
            mentioned = [*words, *_NUMBERS.findall(message)]
            places = None if place is None else (place,)
            named = list(_iter_neighbours(vector, None, mentioned, places))
            self._queue.extendleft(reversed(named))

    def _find_near(
        self, vector: ArgumentVector, error: BaseException, message: str, place: int | None
    ) -> list[ArgumentVector]:
        """Return the argument lists that are worth a try after an error, the likeliest first.

        Args:
            vector: what was called.
            error: what came of it.
            message: its text.
            place: the argument that the error names, if it does.
        """
        pool = self.pool
        if _is_about_value(error, message):
            pool = [*pool, *values.WIDER]

        near = list(_iter_neighbours(vector, self.parameters, pool))
        if isinstance(error, _DOMAIN):  # what one argument may not be, its like may not be either
            near += _iter_joint_changes(vector, self.parameters, pool)
        if place is not None:  # no other argument is worth a try before the one that is named
            near = [*_iter_neighbours(vector, self.parameters, self.pool, (place,)), *near]

        return near


def has_worked(tried: Tried) -> bool:
    """Return whether a call worked, or found nothing in an object that is still empty."""
    return tried.error is None or isinstance(tried.error, (IndexError, KeyError))


def took_arguments(tried: Tried) -> bool:
    """Return whether a call had the right shape: it worked, or failed for what the object holds at the moment."""
    return tried.error is None or isinstance(tried.error, _MOMENTARY)


def _is_about_arity(error: BaseException, message: str) -> bool:
    """Return whether an error is about the number of arguments: no value mends that."""
    if not isinstance(error, TypeError) or "must be" in message:
        return False

    return "argument" in message and bool(_ARITY.search(message))


def _is_about_value(error: BaseException, message: str) -> bool:
    """Return whether an error may name the values that it wants."""
    return isinstance(error, _DOMAIN) or "must be" in message or "expected" in message


def _iter_seeds(
    parameters: Sequence[Parameter] | None, arities: Iterable[int]
) -> Iterator[ArgumentVector]:
    """Give the argument lists to begin with: likely values where parameters are known, and one value elsewhere."""
    for arity in arities:
        if arity > _MOST_ARGUMENTS:
            continue
        if arity == 0:
            yield ()
            continue

        known_parameters = parameters[:arity] if parameters else ()
        for filler in values.COMPACT[:_MOST_FILLERS]:
            vector = [filler] * arity
            for place, (name, annotation) in enumerate(known_parameters):
                likely = values.suggest_values(name, annotation)
                if likely:
                    vector[place] = likely[0]
            yield tuple(vector)


def _find_place(message: str, arity: int, names: list[str]) -> int | None:
    """Return the place of the argument that an error names, by its number or by its parameter's name."""
    match = _PLACE.search(message)
    if match and int(match[1]) <= arity:
        return int(match[1]) - 1

    places = []
    for place, name in enumerate(names[:arity]):
        if re.search(rf"\b{re.escape(name)}\b", message):
            places.append(place)

    return places[0] if len(places) == 1 else None


def _find_likely(parameters: Sequence[Parameter] | None, place: int) -> tuple[str, ...]:
    """Return likely values of one parameter; none where nothing is known of it."""
    if not parameters or place >= len(parameters):
        return ()

    name, annotation = parameters[place]
    return values.suggest_values(name, annotation)


def _iter_joint_changes(
    vector: ArgumentVector, parameters: Sequence[Parameter] | None, pool: list[str]
) -> Iterator[ArgumentVector]:
    """Give every vector in which a value that stands in several places is another in all of them."""
    for place, old in enumerate(vector):
        is_first_of_several = vector.index(old) == place and vector.count(old) > 1
        if not is_first_of_several:
            continue

        likely = _find_likely(parameters, place)
        for new in dict.fromkeys((*likely, *pool)):
            yield tuple(new if value == old else value for value in vector)


def _iter_neighbours(
    vector: ArgumentVector,
    parameters: Sequence[Parameter] | None,
    pool: list[str],
    places: Iterable[int] | None = None,
) -> Iterator[ArgumentVector]:
    """Give every vector that differs in one place; the likeliest values of all places first.

    Args:
        vector: what to change.
        parameters: the parameters, where they are known.
        pool: values to try in each place, after those that are likely for it.
        places: where to change it; None for everywhere.
    """
    choices: list[list[ArgumentVector]] = []
    for place in range(len(vector)) if places is None else places:
        likely = _find_likely(parameters, place)
        changed: list[ArgumentVector] = []
        for value in dict.fromkeys((*likely, *pool)):
            if value != vector[place]:
                changed.append((*vector[:place], value, *vector[place + 1 :]))
        choices.append(changed)

    # The first choice for each place, then the second for each, and so on.
    for rank in itertools.zip_longest(*choices):
        for neighbour in rank:
            if neighbour is not None:
                yield neighbour
