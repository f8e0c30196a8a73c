"""One question about every dependency, several at a time: an answer is mostly waiting for the index."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from builder.dependencies.files.model import SkippedDependency
from builder.errors import IndexUnreachableError
from builder.sources.errors import NoIndexAnswerError
from builder.sources.guard import make_fault
from builder.sources.http import MAX_PARALLEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from builder.dependencies.resolve import Pin
    from builder.store.store import Store

Answer = TypeVar("Answer")


def process_pins(
    pins: Sequence[Pin],
    process: Callable[[Pin], Answer | SkippedDependency],
    store: Store,
    say: Callable[[str], None],
    *,
    title: str,
) -> tuple[list[Answer], list[SkippedDependency]]:
    """Call `process` for every dependency, several at a time, and return its answers.

    Args:
        pins: the dependencies.
        process: answers for one, from a thread of its own, or says why it is left out.
        store: has the folder of logs, for what is not foreseen.
        say: shows progress.
        title: what the progress is called.

    Returns:
        The answers, and the dependencies that are left out, both in the order of the pins. Whatever is wrong with
        one of them leaves that one out.

    Raises:
        IndexUnreachableError: the index does not answer.
    """

    def process_one(pin: Pin) -> Answer | SkippedDependency:
        try:
            return process(pin)
        except NoIndexAnswerError:
            raise
        except Exception as error:
            why = make_fault(pin.name, error, store, str(pin.version)).detail
            return SkippedDependency(name=pin.name, where=pin.where, why=why)

    answers: list[Answer] = []
    left_out: list[SkippedDependency] = []
    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        try:
            for done, answer in enumerate(pool.map(process_one, pins), 1):
                say(f"{title}: {done} of {len(pins)}")
                if isinstance(answer, SkippedDependency):
                    left_out.append(answer)
                else:
                    answers.append(answer)
        except NoIndexAnswerError as error:
            raise IndexUnreachableError(str(error)) from None

    return answers, left_out
