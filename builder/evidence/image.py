"""Facts of an image job."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from builder.evidence.base import Facts, Many


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
