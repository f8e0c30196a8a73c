"""`[applications.NAME.scenarios.NAME]`: work of an application whose speed and memory `wheelfarm measure` looks at."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from builder.config.metrics import METRICS, MetricName
from builder.config.table import Table
from builder.config.thresholds import Threshold, ThresholdField

Kind = Literal["call", "command", "serve"]

FunctionName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*$",
        description="a function of a module, such as 'shop.views:list_books'",
    ),
]
UrlPath = Annotated[
    str,
    Field(
        pattern=r"^/[!-~]{0,1999}$",
        description="the path of an address, such as '/books?sort=title'",
    ),
]


class Scenario(Table):
    """Work whose speed and memory are measured: one of `call`, `command` and `serve`."""

    call: FunctionName | None = None
    """`MODULE:FUNCTION`, a function without arguments or a coroutine function, called over and over in one thread and
    in several."""
    command: str = ""
    """A command that ends by itself, with exit code 0; `{threads}` in it is the number of threads."""
    serve: str = ""
    """A command that starts a web service which listens on 127.0.0.1 and the port that `{port}` stands for;
    `{threads}` in it is the number of threads."""
    path: UrlPath = "/"
    """What the service is asked for; it has to answer with status 200."""
    connections: Annotated[int, Field(ge=1, le=256)] = 4
    """How many requests are on their way at a time."""
    threads: Annotated[tuple[Annotated[int, Field(ge=1, le=64)], ...], Field(min_length=1)] = (
        1,
        2,
        4,
    )
    """Numbers of threads: of a call, and of commands that have `{threads}`."""
    thresholds: dict[MetricName, ThresholdField] = Field(default_factory=dict)
    """By metric how much worse it may get, `p99 = "+10%"`; 5% where a metric is not named."""

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

    @field_validator("threads")
    @classmethod
    def _without_repetition(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(value))

    @field_validator("thresholds")
    @classmethod
    def _is_worse(cls, value: dict[MetricName, Threshold]) -> dict[MetricName, Threshold]:
        """Check that the sign of each threshold is the one that is worse."""
        for name, threshold in value.items():
            try:
                threshold.log_limit(METRICS[name].direction)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return value

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        """Check that it says what is measured, and that a service is told its port."""
        named = [name for name in ("call", "command", "serve") if getattr(self, name)]
        if len(named) != 1:
            found = " and ".join(named) or "none of them"
            raise ValueError(f"expected one of `call`, `command` and `serve`, not {found}")
        if self.serve and "{port}" not in self.serve:
            raise ValueError("expected {port} in `serve`: the farm chooses the port")
        return self
