"""Locks of a shard: which files of the package index one job fetched, as the shard's wheelhouse has them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from builder.proxy.cache import FetchedFile
from builder.proxy.crates import Crates
from builder.untrusted.names import ProjectNameField, Sha256Field, parse_distribution_name
from builder.untrusted.text import clean_json, parse_answer

LOCK_LIMIT_BYTES = 16 << 20
"""Of a lock: a build fetches tens of files, each described in less than 1 KiB."""

_MAX_FILES = 10_000


class UnfitLockError(ValueError):
    """It is no lock, or one of another job. The text says what was found."""


class _Model(BaseModel):
    # What else an index says of a file stays behind: where it is to be fetched from, only this machine's index says.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Hashes(_Model):
    sha256: Sha256Field


class _Entry(_Model):
    """What an index says of a file (PEP 691, 700)."""

    filename: Annotated[str, AfterValidator(parse_distribution_name)]
    hashes: _Hashes
    requires_python: Annotated[str | None, Field(alias="requires-python")] = None
    size: Annotated[int | None, Field(ge=0)] = None
    upload_time: Annotated[str | None, Field(alias="upload-time")] = None
    yanked: bool | str = False


class _Item(_Model):
    project: ProjectNameField
    entry: _Entry


class _Lock(_Model):
    job: str
    files: Annotated[tuple[Any, ...], Field(max_length=_MAX_FILES)]


def parse_lock(job: str, content: bytes) -> tuple[list[FetchedFile], Crates]:
    """Return the files that the lock of a job lists, and the crates.

    A build can fetch whatever the index lists, also what no installer takes: that is left out.

    Raises:
        UnfitLockError: it is no lock, or one of another job.
        builder.untrusted.text.UnfitJsonError: it is no JSON, or too large.
    """
    value = clean_json(parse_answer(content, LOCK_LIMIT_BYTES))
    try:
        lock = _Lock.model_validate(value)
    except ValidationError as error:
        first_error = error.errors(include_context=False, include_url=False)[0]
        path = ".".join(map(str, first_error["loc"]))
        raise UnfitLockError(f"{path}: {first_error['msg']}") from None  # the message has the cause

    if lock.job != job:
        raise UnfitLockError(f"it is no lock of {job}")

    fetched: list[FetchedFile] = []
    for described in lock.files:
        try:
            item = _Item.model_validate(described)
        except ValidationError:
            continue
        entry = item.entry.model_dump(mode="json", by_alias=True, exclude_unset=True)
        fetched.append(FetchedFile(project=item.project, entry=entry))

    try:
        crates = Crates.from_json(value)
    except ValueError as error:
        raise UnfitLockError(str(error)) from None
    return fetched, crates
