"""Facts of an image job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from builder.evidence.base import EvidenceError, Facts, Many

if TYPE_CHECKING:
    from builder.store.evidence import Evidence


class ImageFacts(Facts):
    """An image that is in the container engine, or why there is none."""

    schema_version = 2  # `packages`

    content: str
    """Hash of what is in it, by which the keys of other jobs know it; `none` where there is no image."""

    tag: str | None = None
    """What the engine calls it; None where there is no image."""

    bytes: int | None = None
    """Its size."""

    taken: str = ""
    """What a registry gave, such as `debian@sha256:…`; empty for an image that was made here."""

    missing: Many[str] = ()
    """System packages that the matrix asks for and the base does not have: then there is no image."""

    conflict: str = ""
    """What apt says of system packages that cannot be installed together: then there is no image."""

    packages: dict[str, str] | None = None
    """Its system packages with their versions, by name; None where they were not recorded."""

    @model_validator(mode="after")
    def _is_there_or_not(self) -> Self:
        """Check that there is either an image or a reason why there is none."""
        has_reason = bool(self.missing or self.conflict)
        if (self.tag is None) != has_reason:
            raise ValueError("expected either a tag or missing packages")
        return self

    def explain_lack(self, key: str, base: str) -> str:
        """Return why there is no image with the system packages that the matrix asks for.

        Args:
            key: of the matrix, which names them.
            base: the base's name.
        """
        if self.conflict:
            return f"the system packages of `{key}` exclude one another on {base}: {self.conflict}"
        return f"{base} has no system package {', '.join(self.missing)}, which `{key}` names"


def read_image_tag(evidence: Evidence) -> str:
    """Return the tag by which the engine has the image that an image job made.

    Raises:
        EvidenceError: the job made no image.
    """
    tag = ImageFacts.read(evidence).tag
    if tag is None:
        raise EvidenceError(evidence.job, "it made no image")

    return tag


def read_image_content(evidence: Evidence) -> str:
    """Return the hash of what is in the image that an image job made.

    The facts are not checked here, for speed: nearly every job's key asks for this hash, also where nothing changed.
    """
    content: str = evidence.facts["content"]
    return content
