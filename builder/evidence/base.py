"""What all models of facts share: how they are checked, read from evidence, and turned into JSON data.

A model describes JSON that a program in a container wrote, so nothing about it is certain: the program may have been
changed without its model, or the package under test may have overwritten the answer. `parse` checks an answer when it
is read; `read` gives the facts that are on record.
"""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Annotated, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, Strict, ValidationError

from builder.errors import ExitCode, FarmError
from builder.untrusted.text import UnfitJsonError, clean_json, clean_line, parse_answer
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId

Item = TypeVar("Item")

ARRAY = Strict(strict=False)
"""Marks a tuple that is an array in JSON: strictness would ask for a tuple. Its items stay strict."""

Many = Annotated[tuple[Item, ...], ARRAY]
"""A JSON array of any length."""

Pair = Annotated[tuple[str, str], ARRAY]
"""A JSON array of two texts."""

Count = Annotated[int, Strict(strict=False)]
"""A whole number that is the key of a JSON object, and therefore a text there."""

_MOST_SHOWN = 60
"""Characters of a wrong value that an error shows: enough to recognise it, and an error stays one line."""

ANSWER_LIMIT_BYTES = 32 << 20
"""How large an answer of a program may be. The largest of the default matrix, a race job's, has 1.3 MB."""

COLLECTED_ANSWER_BYTES = ANSWER_LIMIT_BYTES + (1 << 20)
"""How much is taken out of a container for an answer: a larger one is refused there. An archive is somewhat larger than
what is in it."""


class MalformedFactsError(ValueError):
    """JSON data is not what its model describes. The text has the dotted path and what was found there."""


class EvidenceError(FarmError):
    """Recorded evidence is not what its model describes: the ledger is damaged.

    Attributes:
        job: the job whose evidence it is.
    """

    exit_code = ExitCode.UNDETERMINED

    def __init__(self, job: JobId, why: str) -> None:
        self.job = job
        super().__init__(
            f"the recorded evidence of {job} cannot be read: {why}; `wheelfarm run --again` records it anew"
        )


class Model(BaseModel):
    """A part of some facts: frozen, and nothing is taken for something else."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,  # JSON has neither, and no figure here may be one
        validate_by_name=True,  # tests and producers use the Python name, JSON has the alias
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    def to_json(self) -> dict[str, JsonValue]:
        """Return it as JSON data; what was never set is left out."""
        return self.model_dump(mode="json", exclude_unset=True)

    def fields_for(self, model: type[Model]) -> dict[str, object]:
        """Return those fields of this model that were set and that another model also has, by name.

        With them the other model can be made from this one.
        """
        common = [name for name in model.model_fields if name in self.model_fields_set]
        return {name: getattr(self, name) for name in common}

    def require(self, names: Iterable[str], beside: str) -> None:
        """Check that fields were set, so that no default stands for a value that a program should have given.

        Args:
            names: names of the fields.
            beside: what they always come with, for the message: `tests`.

        Raises:
            ValueError: some of them were not set.
        """
        missing_fields = [name for name in names if name not in self.model_fields_set]
        if missing_fields:
            raise ValueError(f"expected {', '.join(missing_fields)} beside {beside}")


class Facts(Model):
    """What one job found out.

    Attributes:
        schema_version: raised by the first change of a field after a release, be it new, renamed, gone or of another
            meaning: a farm reads no field that it does not know. It is stored beside the facts, and evidence of a newer
            version than this farm knows counts as not recorded (builder/evidence/kinds.py).
    """

    schema_version: ClassVar[int] = 1

    @classmethod
    def parse(cls, answer: bytes) -> Self:
        """Return the facts that a program answered, in JSON.

        Raises:
            MalformedFactsError: it is not JSON, or not what the model describes.
        """
        return cls.check(decode(answer))

    @classmethod
    def check(cls, value: object) -> Self:
        """Check JSON data, and return it as this model.

        Raises:
            MalformedFactsError: it is not what the model describes.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise MalformedFactsError(describe_error(error)) from None

    @classmethod
    def read(cls, evidence: Evidence) -> Self:
        """Return the facts of determined evidence as this model: `BuildFacts.read(evidence).abis`.

        The data is checked again at each call; who needs it more than once keeps the model.

        Raises:
            EvidenceError: what is recorded is not what the model describes.
        """
        try:
            return cls.check(dict(evidence.facts))
        except MalformedFactsError as error:
            raise EvidenceError(evidence.job, str(error)) from error


class UndeterminedFacts(Facts):
    """What is recorded where a job could not find out what it was asked."""

    code: FindingCode
    """Code of the finding it becomes (builder/judge/codes.toml)."""


def decode(answer: bytes, prepare: Callable[[object], None] | None = None) -> JsonValue:
    """Return the JSON data that a program answered, as Python has it: bounded, and every text in it cleaned.

    Args:
        answer: what the program wrote.
        prepare: changes the data in place before its texts are cleaned.

    Raises:
        MalformedFactsError: it is not JSON, or larger or deeper than any honest answer.
    """
    try:
        value = parse_answer(answer, ANSWER_LIMIT_BYTES)
        if prepare is not None:
            prepare(value)
        return clean_json(value)
    except UnfitJsonError as error:
        raise MalformedFactsError(str(error)) from None


def describe_error(error: ValidationError) -> str:
    """Return the first mistake that pydantic found in some data, in one line, and how many more there are.

    `abis.cp314.wheel: expected a valid string, found 3 (and 2 more)`
    """
    first, *others = error.errors(include_url=False, include_context=False)
    more = f" (and {len(others)} more)" if others else ""

    return f"{_describe_mistake(first)}{more}"


def _describe_mistake(mistake: ErrorDetails) -> str:
    """Return one mistake as `PATH: WHAT IS WRONG`; the path leads into the data, its parts joined by dots.

    A field that is missing, and one that the model does not have, are not shown with a value.
    """
    path = clean_line(".".join(str(part) for part in mistake["loc"])) or "the answer"

    if mistake["type"] == "missing":
        return f"{path}: is missing"
    if mistake["type"] == "extra_forbidden":
        return f"{path}: is not known"

    expected = mistake["msg"].replace("Input should be", "expected", 1)
    shown_value = clean_line(_SHORT.repr(mistake["input"]))
    return f"{path}: {expected}, found {shown_value}"


def _short_repr() -> reprlib.Repr:
    """Return a formatter that shows wrong values in one short line, however large they are."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _MOST_SHOWN
    short.maxdict = short.maxlist = short.maxlevel = 2
    return short


_SHORT = _short_repr()
