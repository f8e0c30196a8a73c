"""How often, and how long, `wheelfarm measure` measures where nobody says so."""

from __future__ import annotations

DEFAULT_ROUNDS = 30
"""With 3 % of noise in one round, 8 % more than the baseline is told from 5 % in 99 of 100 measurements."""

MOST_ROUNDS = 200
"""More are not judged (builder/judge/measurements/intervals.py), and 200 of all variants take hours."""

DEFAULT_SECONDS = 1.0
"""For the calls of one reading: a thousand of a millisecond, which is what p99 takes."""
