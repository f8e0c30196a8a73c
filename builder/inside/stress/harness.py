"""Let threads make calls at the same moment, and compare what they get with what the calls give alone."""

import sys
import threading
import time

TICK_S = 0.0002
"""Threads that are ready begin at the next multiple of this time."""


LOOK_EVERY = 16
"""Calls that a thread makes between two looks at the clock."""


def drill(
    make,
    argument,
    rows,
    observers,
    *,
    threads,
    iterations,
    rounds,
    sharing,
    crew=None,
    keep=None,
    longest_s=None,
):
    """Run rounds of threads that each make the calls of one row, over and over.

    Args:
        make: makes the subject of the calls.
        argument: makes the argument that calls share.
        rows: a row per kind of thread; each call is (text, function of subject and argument, its result alone or None).
        observers: functions of the subject that tell its state.
        threads: how many threads.
        iterations: calls each thread makes in a round.
        rounds: how often all of it is done, with a new subject.
        crew: runs a function of a thread's number in that many threads; None for new threads each time.
        keep: is given every object that threads will share, and returns it.
        longest_s: after how many seconds calls that still come to an end are cut short: a value that grows with each of
            them makes the next one slower. What does not end then is one call. None for no limit.
        sharing: "shared", one subject for all threads; "private", one each; "fresh", a new one for every call; "series",
            a new one for all threads at every step.

    Returns:
        Exceptions by text with how often they were met, and sentences about wrong results.
    """
    wrong: dict[str, None] = {}
    errors: dict[str, int] = {}
    until = time.perf_counter() + (float("inf") if longest_s is None else longest_s)
    watched = observers and sharing == "shared"
    expected = (
        alone(make, argument, rows, observers, threads, iterations, until) if watched else None
    )
    for _ in range(rounds):
        subject = one_round(
            make,
            argument,
            rows,
            threads,
            iterations,
            sharing,
            crew or in_threads,
            keep,
            errors,
            wrong,
            until,
        )
        if time.perf_counter() > until:
            break
        if expected is not None and (state := observed(observers, subject)) != expected:
            wrong[
                f"afterwards the subject shows {state}, after the same calls alone {expected}"[:600]
            ] = None
        del subject
    return errors, list(wrong)


def one_round(make, argument, rows, threads, iterations, sharing, crew, keep, errors, wrong, until):
    """Let threads make their calls once, note errors and wrong results, and return the subject they shared."""
    subject, shared = make(), argument()
    series = [make() for _ in range(iterations)] if sharing == "series" else []
    for value in (subject, shared, *series) if keep else ():
        keep(value)
    ready = []

    def work(number):
        # What threads count references of together orders them, and hides races: each has functions and lists of its own.
        own, given = (make(), argument()) if sharing == "private" else (subject, shared)
        texts = rows[number % len(rows)]
        row = [(call, result) for _, call, result in texts]
        targets, fresh, start = series, make if sharing == "fresh" else None, number // len(rows)
        ready.append(number)
        while len(ready) < threads:  # all begin at once: a lock would order them
            time.sleep(0)
        begin = (time.perf_counter() // TICK_S + 1) * TICK_S
        while time.perf_counter() < begin:  # those that have a core begin within a microsecond
            pass
        for i in range(iterations):
            if i % LOOK_EVERY == LOOK_EVERY - 1 and time.perf_counter() > until:
                break
            call, result = row[(start + i) % len(row)]
            try:
                got = call(targets[i] if targets else fresh() if fresh else own, given)
                if result is not None and shown(got) != result:
                    text = texts[(start + i) % len(row)][0]
                    wrong[f"{text} gave {shown(got)}, alone it gives {result}"[:400]] = None
            except Exception as error:
                key = f"{type(error).__name__}: {error}"[:200]
                errors[key] = errors.get(key, 0) + 1

    crew(work, threads)
    return subject


def in_threads(work, count):
    """Run a function of a thread's number in that many new threads, and wait for them."""
    pool = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()


def alone(make, argument, rows, observers, threads, iterations, until):
    """Return the state after the same calls in one thread; None where it depends on their order, or a call fails, or time is up."""
    states = []
    for order in ("by thread", "in turn", "by thread, the last first"):
        subject, shared = make(), argument()
        numbers = (
            range(threads) if order != "by thread, the last first" else range(threads - 1, -1, -1)
        )
        turns = [(number, i) for number in numbers for i in range(iterations)]
        if order == "in turn":
            turns.sort(key=lambda turn: turn[1])
        for number, i in turns:
            if time.perf_counter() > until:
                return None
            row = rows[number % len(rows)]
            try:
                row[(number // len(rows) + i) % len(row)][1](subject, shared)
            except Exception:
                return None
        states.append(observed(observers, subject))
    return states[0] if states[0] == states[1] == states[2] and None not in states[0] else None


def observed(observers, subject):
    """Return a subject's state as text."""
    found = []
    for observer in observers:
        try:
            found.append(shown(observer(subject, None)))
        except Exception as error:
            found.append(type(error).__name__)
    return found


def shown(value):
    """Return a plain value as text, or None where its text would not tell its content."""
    kind = type(value)
    if not issubclass(
        kind, (str, bytes, int, float, complex, type(None), list, tuple, dict, set, frozenset)
    ):
        return None
    text = repr(sorted(value, key=repr)) if issubclass(kind, (set, frozenset)) else repr(value)
    return None if " at 0x" in text or len(text) > 20_000 else text


def gil_enabled():
    """Return whether the global interpreter lock is on."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()
