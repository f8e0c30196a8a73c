"""Let threads make calls at the same moment, and compare what they get with what the calls give alone.

The source of these functions goes into programs that are sent to maintainers (script.py): they need nothing else.
"""

import builtins
import itertools
import sys
import threading
import time

globals()["__builtins__"] = dict(vars(builtins))
"""What these functions take for built in, whatever a package puts into `builtins` later (CPython's own rule)."""

now, pause = time.perf_counter, time.sleep
"""Bound before a package is imported, which may replace them in `time`."""

TICK_S = 0.0002
"""Threads that are ready begin at the next multiple of this time: those that have a CPU, within a microsecond."""

SLOW_PART = 20
"""A thread makes no more calls once one took longer than one of so many parts of a scenario's time: what doubles with
each call would soon have no end."""

GUARDED = ("distinct", "separate")
"""Ways of sharing in which nothing is called where the expression of a subject always gives the same object."""

LONGEST_CALL = 100
"""Characters of a call in a sentence about it."""

ASKED_AGAIN_S = 0.2
"""How long calls whose results were wrong are made alone: time goes on, and what tells it then gives something else."""

LONGEST_TEXT = 20_000
"""Characters of a value that is compared: a longer one would take the time of many calls."""


def run_rounds(
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
    make_immortal=None,
    longest_s=None,
    least_s=0,
    learns=True,
    returned=None,
    delays=None,
):
    """Run rounds of threads that each make the calls of one row, over and over.

    Args:
        make: makes the subject of the calls; of the shared argument where what threads share is a component.
        argument: makes the argument that calls share.
        rows: one per kind of thread; a call is (text, function of subject and argument, its result alone, or None where
            that is not to be compared).
        observers: functions of the subject that tell its state.
        threads: how many threads.
        iterations: calls each thread makes in a round.
        rounds: how often all of it is done, with a new subject.
        sharing: "shared", one subject for all threads; "private", one each; "fresh", a new one for every call;
            "series", a new one for all threads at every step; "argument", a subject for each thread, and one argument
            for all; "component", a subject for each thread, all made of one argument; "separate" and "distinct", as
            private and fresh, but nothing is called where `make` gives the same object every time.
        crew: runs a function of a thread's number in that many threads; None for new threads each time.
        make_immortal: is given every object that threads will share, before they do.
        longest_s: after how many seconds calls that still come to an end are cut short: a value that grows with each of
            them makes the next one slower. What does not end then is one call. None for no limit.
        least_s: for how many seconds further rounds follow while no result was wrong: on a busy machine the threads of
            a round of short calls may run one after the other.
        learns: whether to learn the results from this process, and not to go by those that another one gave: what is
            made once in a process cannot be made before.
        returned: is given, by the text of each call that returned, in how many threads of a round it did.
        delays: delays the threads while they make their calls (schedules.py); None for no delays.

    Returns:
        Exceptions by text with how often they were met, and sentences about wrong results.
    """
    wrong: dict[str, None] = {}  # in the order they were seen, each once
    errors: dict[str, int] = {}
    until = now() + (float("inf") if longest_s is None else longest_s)
    slow_s = float("inf") if longest_s is None else longest_s / SLOW_PART

    # What is always the same object is shared, whoever asks for it.
    if sharing in GUARDED and is_one_object(make):
        return errors, []

    # What each thread or call has for itself leaves no common state to compare.
    expected = None
    if observers and sharing == "shared":
        expected = run_alone(make, argument, rows, observers, threads, iterations, until)

    if learns:
        # A race detector sees wrong accesses, whatever comes of them.
        compares = not make_immortal
        rows = learn_results(make, argument, rows, crew or run_in_threads, compares=compares)

    begun = now()
    for turn in itertools.count():
        if turn >= rounds and (wrong or now() >= begun + least_s):
            break
        subject = run_round(
            make,
            argument,
            rows,
            threads=threads,
            iterations=iterations,
            sharing=sharing,
            crew=crew or run_in_threads,
            make_immortal=make_immortal,
            errors=errors,
            wrong=wrong,
            until=until,
            slow_s=slow_s,
            returned={} if returned is None else returned,
            delays=delays,
            turn=turn,
        )
        if now() > until:
            break

        if expected is not None:
            state = observe(observers, subject)
            if state != expected:
                text = f"afterwards the subject shows {state}, "
                text += f"after the same calls alone {expected}"
                wrong[text[:600]] = None
        del subject  # before the next one is made

    if wrong and learns:
        wrong = drop_unsteady(wrong, rows, make, argument, crew or run_in_threads)
    return errors, list(wrong)


def run_round(
    make,
    argument,
    rows,
    *,
    threads,
    iterations,
    sharing,
    crew,
    make_immortal,
    errors,
    wrong,
    until,
    slow_s,
    returned,
    delays=None,
    turn=0,
):
    """Let threads make their calls once, note what came of them, and return the subject they shared."""
    shared = argument()
    subject = make(shared) if sharing == "component" else make()
    series = [make() for _ in range(iterations)] if sharing == "series" else []
    if make_immortal:
        for value in (subject, shared, *series):
            make_immortal(value)
    ready: list[int] = []
    came_back = [()] * threads  # by thread: places in its row of calls that returned

    def work(number):
        # What threads count references of together orders them, and hides races:
        # each has functions and lists of its own.
        own, given = hand_out(make, argument, sharing, subject, shared)
        texts = rows[number % len(rows)]
        row = [(call, result) for _, call, result in texts]
        start = number // len(rows)  # threads with the same row begin at different calls of it
        targets = series
        fresh = make if sharing in ("fresh", "distinct") else None
        places = set()

        begin_together(ready, number, threads)
        if delays:
            delays.begin(turn * threads + number)
        looked = now()
        for i in range(iterations):
            call, result = row[(start + i) % len(row)]
            try:
                # In one expression: a variable would hold a fresh object until the next one is there.
                got = call(targets[i] if targets else fresh() if fresh else own, given)
                places.add((start + i) % len(row))
                shown = None if result is None else show(got)
                if shown is not None and shown != result:
                    wrong[describe_wrong(texts[(start + i) % len(row)][0], shown, result)] = None
            except Exception as error:
                key = f"{type(error).__name__}: {error}"[:200]
                errors[key] = errors.get(key, 0) + 1
            earlier, looked = looked, now()
            if looked > until or looked - earlier > slow_s:
                break
        if delays:
            delays.end()
        came_back[number] = places  # at the end: what threads share meanwhile would order them

    crew(work, threads)
    count_returned(rows, came_back, returned)
    return subject


def begin_together(ready, number, threads):
    """Wait until all threads have come here: they leave at once, in no order, which a lock would give them."""
    ready.append(number)
    while len(ready) < threads:
        pause(0)
    begin = (now() // TICK_S + 1) * TICK_S
    while now() < begin:
        pass


def hand_out(make, argument, sharing, subject, shared):
    """Return the subject and the argument that a thread gets."""
    if sharing in ("private", "separate"):
        return make(), argument()
    if sharing == "argument":
        return make(), shared
    if sharing == "component":
        return make(shared), shared
    return subject, shared


def is_one_object(make):
    """Return whether a subject is the same object whenever it is made."""
    first, second = make(), make()
    return first is not None and first is second


def learn_results(make, argument, rows, crew, *, compares):
    """Return the rows with what each call gives alone, in this process.

    None where it is not to be compared, where it cannot be shown, and where two calls differ, one of them made by
    another thread: a clock, a counter, what each thread has for itself.
    """
    if not compares:
        return [[(text, call, None) for text, call, _ in row] for row in rows]

    # By place and not by text: calls of two functions may read alike.
    here = ask_all(make, argument, rows)
    elsewhere = []
    crew(lambda _: elsewhere.extend(ask_all(make, argument, rows)), 1)

    steady = []
    for row, gave, gave_elsewhere in zip(rows, here, elsewhere, strict=True):
        calls = []
        for (text, call, _), result, other in zip(row, gave, gave_elsewhere, strict=True):
            calls.append((text, call, result if result == other else None))
        steady.append(calls)
    return steady


def ask_all(make, argument, rows):
    """Make each call once, alone, and return what it gives, in the order of the rows."""
    answers = []
    for row in rows:
        answers.append([ask_alone(make, argument, call, result) for _, call, result in row])
    return answers


def ask_alone(make, argument, call, result):
    """Return what a call gives alone, as text; None where it raises, or no result is asked for."""
    if result is None:
        return None
    try:
        return show(call(make(), argument()))
    except Exception:
        return None


def drop_unsteady(wrong, rows, make, argument, crew):
    """Return the sentences about wrong results without those of calls that give something else alone by now.

    A counter has gone on while threads made their calls, and a cache is full. A clock is asked for a while.
    """
    steady = dict(wrong)
    until = now() + ASKED_AGAIN_S
    while steady:
        again = learn_results(make, argument, rows, crew, compares=True)
        unsteady = tuple(
            f"{text[:LONGEST_CALL]} gave "
            for row, now_given in zip(rows, again, strict=True)
            for (text, _, result), (_, _, result_now) in zip(row, now_given, strict=True)
            if result_now != result
        )
        steady = {text: None for text in steady if not text.startswith(unsteady)}
        if now() > until:
            break

    return steady


def describe_wrong(text, shown, result):
    """Say that a call gave something else than it gives alone, with the parts of both that differ."""
    shortest = min(len(shown), len(result))
    same = 0
    while same < shortest and shown[same] == result[same]:
        same += 1

    start = max(0, same - 40)  # enough before the difference to know where it is
    end = start + 140
    dots = "..." if start else ""
    got = dots + shown[start:end]
    alone = dots + result[start:end]

    return f"{text[:LONGEST_CALL]} gave {got}, alone it gives {alone}"


def count_returned(rows, came_back, returned):
    """Note in how many threads each call returned, where that is more than in an earlier round."""
    counts: dict[str, int] = {}
    for number, places in enumerate(came_back):
        row = rows[number % len(rows)]
        texts = {row[place][0] for place in places}
        for text in texts:
            counts[text] = counts.get(text, 0) + 1
    for text, count in counts.items():
        returned[text] = max(count, returned.get(text, 0))


def run_in_threads(work, count):
    """Run a function of a thread's number in that many new threads, and wait for them."""
    pool = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()


def run_alone(make, argument, rows, observers, threads, iterations, until):
    """Return the state after the same calls in one thread.

    None where it depends on their order, or a call fails, or time is up.
    """
    by_thread = [(number, i) for number in range(threads) for i in range(iterations)]
    in_turn = sorted(by_thread, key=lambda turn: turn[1])
    last_first = sorted(by_thread, key=lambda turn: -turn[0])

    # If the state differs between these orders, threads may rightly leave behind another one still.
    states = []
    for turns in (by_thread, in_turn, last_first):
        subject, shared = make(), argument()
        for number, i in turns:
            if now() > until:
                return None
            row = rows[number % len(rows)]
            _, call, _ = row[(number // len(rows) + i) % len(row)]
            try:
                call(subject, shared)
            except Exception:
                return None
        states.append(observe(observers, subject))

    first, second, third = states
    if first != second or first != third or None in first:
        return None
    return first


def observe(observers, subject):
    """Return a subject's state as text."""
    state = []
    for observer in observers:
        try:
            state.append(show(observer(subject, None)))
        except Exception as error:
            state.append(type(error).__name__)

    return state


def show(value):
    """Return a plain value as text, or None where its text would not tell its content."""
    plain = (str, bytes, int, float, complex, type(None), list, tuple, dict, set, frozenset)
    kind = type(value)
    if not issubclass(kind, plain):
        return None

    # The order of a set is nothing that a caller may rely on.
    text = repr(sorted(value, key=repr)) if issubclass(kind, (set, frozenset)) else repr(value)
    if " at 0x" in text or len(text) > LONGEST_TEXT:
        return None
    return text


def is_gil_enabled():
    """Return whether the global interpreter lock is on."""
    return getattr(sys, "_is_gil_enabled", lambda: True)()
