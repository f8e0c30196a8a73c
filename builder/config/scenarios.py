"""`[applications.NAME.scenarios.NAME]`: work of an application whose speed and memory `wheelfarm measure` looks at."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from builder.config.table import Table

Metric = Literal[
    "p50", "p75", "p95", "p99", "throughput", "cpu", "start", "rss", "rss_peak", "duration"
]
"""What is measured; builder/evidence/measurement.py says in what units."""

_PERCENT = re.compile(r"[+-]?(\d+(?:\.\d+)?)\s*%")
_MOST_CHANGE = 10.0  # ten times as slow: a larger one is a slip of the pen

Kind = Literal["call", "command", "serve"]


def parse_change(value: object) -> float:
    """Return a share: '+10%', '10%' and '-10%' are all 0.1, for which way is worse is known of each metric.

    Raises:
        ValueError: it is no share, or not one between 0 and 1000 %.
    """
    match = _PERCENT.fullmatch(str(value).strip())
    change = float(match[1]) / 100 if match else 0.0
    if not 0.0 < change <= _MOST_CHANGE:
        raise ValueError(f"expected a change such as '+10%', not {value!r}")
    return change


Change = Annotated[float, BeforeValidator(parse_change)]


class Scenario(Table):
    """Work whose speed and memory are measured: one of `call`, `command` and `serve`."""

    call: Annotated[str, Field(pattern=r"^$|^[\w.]+:[\w.]+$")] = ""
    """`MODULE:FUNCTION`, a function without arguments or a coroutine function, called over and over in one thread and
    in several."""
    command: str = ""
    """A command that ends by itself, with exit code 0; `{threads}` in it is the number of threads."""
    serve: str = ""
    """A command that starts a web service which listens on 127.0.0.1 and the port that `{port}` stands for;
    `{threads}` in it is the number of threads."""
    path: Annotated[str, Field(pattern=r"^/\S*$")] = "/"
    """What the service is asked for; it has to answer with status 200."""
    connections: Annotated[int, Field(ge=1, le=256)] = 4
    """How many requests are on their way at a time."""
    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1)] = (
        1,
        2,
        4,
    )
    """Numbers of threads: of a call, and of commands that have `{threads}`."""
    thresholds: dict[Metric, Change] = Field(default_factory=dict)
    """By metric how much worse or better it has to be to be called so; '5%' where a metric is not named."""

    @property
    def kind(self) -> Kind:
        """Which of the three it is."""
        if self.call:
            return "call"
        return "command" if self.command else "serve"

    @property
    def target(self) -> str:
        """What is called or run."""
        return self.call or self.command or self.serve

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The numbers of threads that it is measured with; one alone where it does not know of them."""
        if self.call or "{threads}" in self.target:
            return self.threads
        return (1,)

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        """Check that it says what is measured, and that a service is told its port."""
        named = [name for name in ("call", "command", "serve") if getattr(self, name)]
        if len(named) != 1:
            found = " and ".join(named) or "none of them"
            raise ValueError(f"expected one of call, command and serve, not {found}")
        if self.serve and "{port}" not in self.serve:
            raise ValueError("expected {port} in serve: the farm chooses the port")
        return self
