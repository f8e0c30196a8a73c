"""The kinds of finding, read from codes.toml: how bad each is, which verdict it forces, and what to do about it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Self, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from builder.finding_codes import FindingCode
from builder.verdicts import Severity, Verdict

_TABLE = Path(__file__).with_name("codes.toml")


def _join_lines(text: str) -> str:
    """Join the lines of a text that goes over several in the table."""
    return " ".join(text.split())


_Text = Annotated[str, Field(min_length=1), AfterValidator(_join_lines)]
# A title stands in tables, and at the head of a sentence that goes on after a colon.
_Title = Annotated[str, Field(pattern=r"^\S.*[^\s.:]$", max_length=60)]


class Code(BaseModel):
    """One kind of finding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Annotated[str, Field(pattern=r"^WF[1-9]\d{2}$")]
    title: _Title
    """A few words for a table."""
    severity: Severity
    verdict: Verdict | None = None
    """The verdict it forces, or None where it is only worth knowing."""
    meaning: _Text
    """What was found, for someone who has never heard of it."""
    matters: _Text
    """Why one should care."""
    confirm: _Text
    """How to see it by hand."""
    remedy: _Text
    """What to do about it."""

    @model_validator(mode="after")
    def _check_verdict(self) -> Self:
        """Check that a code's severity and verdict go together.

        An error may force any verdict, a warning at most `undetermined`, an info none.
        """
        if self.verdict is None or self.severity is Severity.ERROR:
            return self

        if self.severity is Severity.INFO:
            raise ValueError("an info forces no verdict")
        if self.verdict.rank > Verdict.UNDETERMINED.rank:
            raise ValueError(f"what forces {self.verdict.value} is an error, not a warning")

        return self


_CODES = TypeAdapter(dict[str, Code])


@cache
def load() -> Mapping[FindingCode, Code]:
    """Read the table, in its order.

    Raises:
        pydantic.ValidationError: rows are wrong; its text names every one.
    """
    return parse(_TABLE.read_text())


def parse(text: str) -> Mapping[FindingCode, Code]:
    """Return the codes of a table in its order, each checked, by name such as `WF101`.

    Raises:
        tomllib.TOMLDecodeError: it is not TOML.
        pydantic.ValidationError: rows are wrong; its text names every one.
    """
    rows = {code: {"code": code, **row} for code, row in tomllib.loads(text).items()}
    codes = _CODES.validate_python(rows)

    # finding_codes.py is made from this very table, and a test keeps the two in step.
    return cast("Mapping[FindingCode, Code]", codes)
