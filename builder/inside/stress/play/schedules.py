"""Plans of delays, which bring about rare orders of what threads do (delays.py).

A plan says at which kinds of yield points threads are delayed, how often and how long. Plans are numbered: a search
tries the same ones in every run.
"""

KINDS = {"allocate": 1, "release": 2, "count": 4, "lock": 8, "container": 16, "call": 32}
"""Kinds of yield points, as images/schedule.c numbers them."""

_ALL = tuple(KINDS)

# Kinds of yield points, how many of them lie between two delays, microseconds of a delay, and delays of each thread in
# a round: a call has about five yield points, and others make hundreds of calls in 100 us. Which plan shows a fault
# depends on where its window is. What showed most on planted faults comes first; docs/threads.md has the figures.
_SHAPES = (
    (_ALL, 8, 100, 20),
    (("container", "call"), 10, 100, 20),
    (("allocate", "release", "count"), 6, 100, 20),
    (_ALL, 3, 20, 60),
    (_ALL, 60, 60, 20),
)

PLANS = len(_SHAPES)
"""How many plans there are that differ in more than in their random numbers."""

Plan = dict[str, int]
"""`seed`, `kinds` (a sum of `KINDS`), `gap`, `pause_us` and `delays`: schedule.c has what they mean."""


def make_plan(seed: int) -> Plan:
    """Return the plan with this number, from 0."""
    kinds, gap, pause_us, delays = _SHAPES[seed % PLANS]
    return {
        "seed": seed,
        "kinds": sum(KINDS[kind] for kind in kinds),
        "gap": gap,
        "pause_us": pause_us,
        "delays": delays,
    }
