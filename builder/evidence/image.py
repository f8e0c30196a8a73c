"""Facts of an image job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from builder.evidence.base import EvidenceError, Facts, Many

if TYPE_CHECKING:
    from builder.store.evidence import Evidence


class ImageFacts(Facts):
    """An image that is in the container engine, or why there is none."""

    content: str
    """Hash of what is in it, by which the keys of other jobs know it; `none` where there is no image."""

    tag: str | None = None
    """What the engine calls it; None where there is no image."""

    bytes: int | None = None
    """Its size."""

    missing: Many[str] = ()
    """System packages that the matrix asks for and the base does not have: then there is no image."""

    @model_validator(mode="after")
    def _is_there_or_not(self) -> Self:
        if (self.tag is None) == (not self.missing):
            raise ValueError("expected either a tag or missing packages")
        return self


def read_image_tag(evidence: Evidence) -> str:
    """Return what the engine calls an image that is there.

    Raises:
        EvidenceError: there is none.
    """
    tag = ImageFacts.read(evidence).tag
    if tag is None:
        raise EvidenceError(evidence.job, "it made no image")

    return tag


def read_image_content(evidence: Evidence) -> str:
    """Return the hash of what is in an image.

    The keys of nearly all jobs ask for it, also where nothing changed, so the facts are not checked for that.
    """
    content: str = evidence.facts["content"]
    return content
