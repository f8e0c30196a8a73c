"""Find arguments that a callable takes, by trying values and following what its errors tell apart."""

import itertools
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ..calls import values
from ..calls.values import Parameter

_ARITY = re.compile(
    r"takes|expected|expects|requires|missing|exactly|at least|at most|too many|too few|unexpected keyword"
)
_QUOTED = re.compile(r"['\"]([A-Za-z0-9_.:+-]{1,20})['\"]")
_NUMBERS = re.compile(r"\b\d{1,6}\b")
_NAMED_POSITION = re.compile(r"\bargument (?:no\. |#)?([1-9])\b")
_GIVEN_VALUE = re.compile(
    r",? (?:but )?(?:not|got) .*$|\(.* given\)$|'\w+'(?= object cannot be interpreted)"
)
"""What an error says of the value that was given: it changes with each try, and tells no errors apart."""

_LENGTH = re.compile(
    r"\b(?:long|length|len|size|bytes|characters|chars|items|elements|values|dimensions?)\b",
    re.IGNORECASE,
)
_POWER = re.compile(r"power of (?:two|2)", re.IGNORECASE)
_MULTIPLE = re.compile(r"(?:multiple of|divisible by) (\d{1,4})\b", re.IGNORECASE)
_RANGE = re.compile(
    r"(?:greater|less|smaller|larger|more|fewer) than|at least|at most|between|range", re.IGNORECASE
)
"""What errors say of the length, the factors or the bounds of a value that they would take."""

_VALUE_ERRORS = (ValueError, IndexError, KeyError, OverflowError, LookupError)
"""Errors about an argument's value: its type was right."""

_STATE_ERRORS = (LookupError, ValueError, OverflowError, BufferError)
"""Errors that the same arguments need not cause on another object, or later."""

# How far a search goes. Not measured: round figures that keep the queue from growing faster than a budget can empty it.
_MOST_ARGUMENTS = 5
_MOST_FILLERS = 8  # values a whole argument list is made of at first
_MOST_WORDS = 6  # of a docstring
_MOST_OTHERS = 12  # values that are tried for each argument of a call that worked
_MOST_ALIKE = 2  # argument lists of one length: those of other lengths show more
_MANY = 4
"""Who wants more argument lists than this wants them for the objects that a constructor makes."""
_MOST_SIZES = 3  # numbers of an error that are taken for lengths
_LARGEST_SIZE = 4096  # what is larger is hardly the length of an argument
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
        """Count one more try; return False where there are no tries left, or no time."""
        self.spent += 1
        now = time.monotonic()
        has_tries = self.spent <= self.tries
        has_time = now - self.began < self.seconds and now < self.deadline

        return has_tries and has_time


class Search:
    """Looks for argument lists that a callable takes without an exception.

    It keeps a queue of argument vectors, tries the first, and queues further vectors that the error makes likely. An
    error that was met before adds nothing to the queue.

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
        prefers_ready: bool = False,
    ) -> None:
        """Prepare a search.

        Args:
            attempt: calls with arguments, given as one text.
            parameters: the parameters, where a signature tells them.
            own: expressions of values of the package's own types.
            hints: a docstring, whose quoted words may be values.
            budget: how much to try.
            wanted: how many argument lists are enough.
            prefers_ready: whether nothing is guessed where one of the ready argument lists works.
        """
        self._prefers_ready = prefers_ready
        self.attempt = attempt
        self.parameters = parameters
        self.budget = budget
        self.wanted = wanted

        words = [repr(word) for word in dict.fromkeys(_QUOTED.findall(hints))]
        self.pool = [*own, *values.COMPACT, *words[:_MOST_WORDS]]

        self._found = 0
        self._found_by_length: Counter[int] = Counter()
        self._known_errors: set[str] = set()
        self._queue: deque[ArgumentVector] = deque()

    def run(self, ready: Iterable[str], arities: Iterable[int]) -> Iterator[ArgumentVector]:
        """Give argument vectors that worked, until enough are found, nothing is left to try or the budget is spent.

        Args:
            ready: argument lists worth trying first, each as one text: each is given as a vector of one part.
            arities: the numbers of arguments to try.
        """
        yield from self._try_ready(ready)
        if self._found and self._prefers_ready:
            return

        seeds = list(_iter_seeds(self.parameters, arities))
        first_vectors = set(seeds)
        self._queue.extend(seeds)
        seen: set[ArgumentVector] = set()
        while self._queue and self._found < self.wanted:
            vector = self._queue.popleft()
            # Once the budget is spent, this empties the queue and ends the loop.
            if vector in seen or not self.budget.take():
                continue
            seen.add(vector)

            tried = self.attempt(", ".join(vector))
            is_length_wanted = self._found_by_length[len(vector)] < _MOST_ALIKE
            if has_worked(tried) and is_length_wanted:
                self._found += 1
                self._found_by_length[len(vector)] += 1
                yield vector

            if tried.error is not None:
                self._queue_after_error(vector, tried.error, is_first=vector in first_vectors)
            elif self.wanted > _MANY:  # of constructors, other ways are wanted too
                others = self.pool[:_MOST_OTHERS]
                self._queue.extend(_iter_neighbours(vector, self.parameters, others))

    def _try_ready(self, ready: Iterable[str]) -> Iterator[ArgumentVector]:
        """Give those of the argument lists that work, each as a vector of one part; stop when enough were found."""
        for text in ready:
            is_wanted = self._found < self.wanted
            may_try = is_wanted and self.budget.take()
            if may_try and has_worked(self.attempt(text)):
                self._found += 1
                yield (text,)

    def _queue_after_error(
        self, vector: ArgumentVector, error: BaseException, *, is_first: bool
    ) -> None:
        """Queue argument vectors that an error makes likely; nothing where a similar error was met before.

        Nothing either where the number of arguments was wrong: other values do not change that.

        Args:
            vector: what was called.
            error: what the call raised.
            is_first: whether the vector is one that the search began with, not one made from an earlier error.
        """
        message = f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE]
        names = [name for name, _ in self.parameters or ()]
        position = _find_named_position(message, len(vector), names)

        # Two errors count as one where their texts differ only in the value that was given, or in a number.
        plain_message = _NUMBERS.sub("#", _GIVEN_VALUE.sub("", message))
        error_key = f"{len(vector)} {position} {plain_message}"
        if error_key in self._known_errors or _is_about_arity(error, message):
            return
        self._known_errors.add(error_key)

        neighbours = self._find_vectors_after(vector, error, message, position)
        if is_first and position is None:
            self._queue.extend(neighbours)
        else:  # a new error after a change is a step forward: go on from there before anything else
            self._queue.extendleft(reversed(neighbours))

        # What the error itself names comes before all.
        if _is_about_value(error, message):
            words = [repr(word) for word in _QUOTED.findall(message)]
            named_values = [*_find_sizes(message), *words, *_NUMBERS.findall(message)]
            positions = None if position is None else (position,)
            named_vectors = list(_iter_neighbours(vector, None, named_values, positions))
            self._queue.extendleft(reversed(named_vectors))

    def _find_vectors_after(
        self, vector: ArgumentVector, error: BaseException, message: str, position: int | None
    ) -> list[ArgumentVector]:
        """Return the argument vectors that are worth a try after an error, the likeliest first.

        Most of them differ from the one that failed in one argument.

        Args:
            vector: what was called.
            error: what the call raised.
            message: the error's text.
            position: the index of the argument that the error names; None where it names none.
        """
        pool = self.pool
        if _is_about_value(error, message):
            pool = [*pool, *values.WIDER]

        candidates = list(_iter_neighbours(vector, self.parameters, pool))
        if isinstance(error, _VALUE_ERRORS):
            # If a value is wrong in one position, it may be wrong in the others as well.
            candidates += _iter_joint_changes(vector, self.parameters, pool)
        if position is not None:  # no other argument is worth a try before the one that is named
            candidates = [
                *_iter_neighbours(vector, self.parameters, self.pool, (position,)),
                *candidates,
            ]

        return candidates


def has_worked(tried: Tried) -> bool:
    """Return whether a call worked. IndexError and KeyError count as well: the object may just be empty still."""
    return tried.error is None or isinstance(tried.error, (IndexError, KeyError))


def took_arguments(tried: Tried) -> bool:
    """Return whether a call's arguments were right: it worked, or failed only for what the object held at that time."""
    return tried.error is None or isinstance(tried.error, _STATE_ERRORS)


def _find_sizes(message: str) -> list[str]:
    """Return values of the lengths, or with the factors, that an error's text names.

    `"key must be 32 bytes long"` -> `["bytes(32)", "'a' * 32", ...]`; `"must be a power of two"` -> `["16", "1", ...]`.
    """
    numbers = [int(number) for number in _NUMBERS.findall(message)]
    small = [number for number in numbers if number <= _LARGEST_SIZE][:_MOST_SIZES]
    found: list[str] = []
    if _LENGTH.search(message):
        for number in small:
            found += [f"bytes({number})", f"'a' * {number}", f"[1] * {number}", f"[1.0] * {number}"]
    if _POWER.search(message):
        found += ["16", "1", "2", "1024", "65536"]
    for factor in _MULTIPLE.findall(message):
        found += [factor, str(2 * int(factor)), f"bytes({2 * int(factor)})", f"'a' * {factor}"]
    if _RANGE.search(message):
        for number in small:
            found += [str(number + 1), str(max(0, number - 1))]

    return found


def _is_about_arity(error: BaseException, message: str) -> bool:
    """Return whether an error is about the number of arguments: then no other values help."""
    # "argument 1 must be str" is about a type, although it has the word.
    if not isinstance(error, TypeError) or "must be" in message:
        return False

    return "argument" in message and bool(_ARITY.search(message))


def _is_about_value(error: BaseException, message: str) -> bool:
    """Return whether an error's text may name the values that the callable wants, such as "must be 'r' or 'w'"."""
    return isinstance(error, _VALUE_ERRORS) or "must be" in message or "expected" in message


def _iter_seeds(
    parameters: Sequence[Parameter] | None, arities: Iterable[int]
) -> Iterator[ArgumentVector]:
    """Give the argument vectors that a search begins with.

    Each has one value in all positions, such as `("8", "8")`; where the parameters are known, likely values instead.
    Numbers of arguments above a limit are skipped: there are too many combinations.
    """
    for arity in arities:
        if arity > _MOST_ARGUMENTS:
            continue
        if arity == 0:
            yield ()
            continue

        known_parameters = parameters[:arity] if parameters else ()
        for filler in values.COMPACT[:_MOST_FILLERS]:
            vector = [filler] * arity
            for position, (name, annotation) in enumerate(known_parameters):
                likely = values.suggest_values(name, annotation)
                if likely:
                    vector[position] = likely[0]
            yield tuple(vector)


def _find_named_position(message: str, arity: int, names: list[str]) -> int | None:
    """Return the index of the argument that an error names, by its number or by its parameter's name.

    None where it names none, or more than one: `"argument 2 must be str"` -> 1.

    Args:
        message: the error's text.
        arity: how many arguments were given.
        names: names of the parameters, where they are known.
    """
    match = _NAMED_POSITION.search(message)
    if match and int(match[1]) <= arity:
        return int(match[1]) - 1

    positions = []
    for position, name in enumerate(names[:arity]):
        if re.search(rf"\b{re.escape(name)}\b", message):
            positions.append(position)

    return positions[0] if len(positions) == 1 else None


def _find_likely(parameters: Sequence[Parameter] | None, position: int) -> tuple[str, ...]:
    """Return likely values of the parameter at an index; empty where nothing is known of it."""
    if not parameters or position >= len(parameters):
        return ()

    name, annotation = parameters[position]
    return values.suggest_values(name, annotation)


def _iter_joint_changes(
    vector: ArgumentVector, parameters: Sequence[Parameter] | None, pool: list[str]
) -> Iterator[ArgumentVector]:
    """Give every vector in which a value that occurs several times is replaced everywhere at once.

    `("8", "8")` -> `("1", "1")`, ...: arguments that must fit one another are wrong as long as only one changes. Values
    that occur once are skipped: `_iter_neighbours` replaces these.
    """
    for position, old in enumerate(vector):
        is_first_of_several = vector.index(old) == position and vector.count(old) > 1
        if not is_first_of_several:
            continue

        likely = _find_likely(parameters, position)
        for new in dict.fromkeys((*likely, *pool)):
            yield tuple(new if value == old else value for value in vector)


def _iter_neighbours(
    vector: ArgumentVector,
    parameters: Sequence[Parameter] | None,
    pool: list[str],
    positions: Iterable[int] | None = None,
) -> Iterator[ArgumentVector]:
    """Give every vector that differs in one argument: the likeliest value of each position, then the next, and so on.

    Args:
        vector: what to change.
        parameters: the parameters, where they are known.
        pool: values to try in each position, after those that are likely for its parameter.
        positions: indexes of the arguments to change; None for all.
    """
    choices: list[list[ArgumentVector]] = []
    for position in range(len(vector)) if positions is None else positions:
        likely = _find_likely(parameters, position)
        replaced: list[ArgumentVector] = []
        for value in dict.fromkeys((*likely, *pool)):
            if value != vector[position]:
                replaced.append((*vector[:position], value, *vector[position + 1 :]))
        choices.append(replaced)

    # The first choice for each position, then the second for each, and so on.
    for same_rank in itertools.zip_longest(*choices):
        for neighbour in same_rank:
            if neighbour is not None:
                yield neighbour
