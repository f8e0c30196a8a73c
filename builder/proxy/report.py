"""What a container did with the index: the record that the proxy wrote of its session, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from builder.errors import InfrastructureError
from builder.proxy.cache import FetchedFile
from builder.proxy.crates import Crates, parse_crate, parse_page
from builder.proxy.toolchains import parse_toolchain, parse_toolchain_file
from builder.untrusted.names import parse_file_name, parse_sha256
from builder.untrusted.text import clean_json, parse_answer
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MAX_NAMED_CRATES = 3  # of those that could not be had; one explains the others
_MAX_RECORD_BYTES = 17 << 20  # of a session; the proxy keeps to a little less
_MAX_EVENT_BYTES = 16 << 20
_MAX_EVENTS = 40_000
_EVENT_TEXTS = {
    "file": ("project",),
    "asked": ("host",),
    "silent": ("what",),
    "unlocked": ("project",),
    "crate": ("name", "version", "sha256"),
    "crate-page": ("name", "sha256"),
    "no-crate": ("what",),
    "toolchain": ("version", "sha256"),
    "toolchain-file": ("version", "filename", "sha256"),
    "no-toolchain": ("what",),
    "lacks-toolchain": ("what",),
}
"""The kinds of events, and the fields of each that are text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionReport:
    """What a container did with the index, and what else it asked for.

    Attributes:
        fetched: files, in the order they were asked for.
        refused_hosts: hosts that it asked for and that no job reaches.
        unanswered: what the index did not answer for.
        missing_from_lock: projects it asked for that are not in its lock.
        crates: what it had of the registry of crates, and of the server of Rust toolchains.
        unanswered_crates: what that registry did not answer for, or answered with something else, each with the reason.
        unanswered_toolchains: the same of the server of Rust toolchains.
        lacking_toolchains: what that server does not have: what was asked, and what it answered.
    """

    fetched: tuple[FetchedFile, ...] = ()
    refused_hosts: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    missing_from_lock: tuple[str, ...] = ()
    crates: Crates = field(default_factory=Crates)
    unanswered_crates: tuple[str, ...] = ()
    unanswered_toolchains: tuple[str, ...] = ()
    lacking_toolchains: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return what the evidence says of it."""
        return {
            "fetched": [
                *(file.record() for file in self.fetched),
                *(crate.record() for crate in self.crates.files),
                *(file.record() for file in self.crates.toolchains.files),
            ],
            "asked": list(self.refused_hosts),
        }

    def merge(self, other: SessionReport) -> SessionReport:
        """Return this report and another one as one; of files with the same name the other report's counts."""
        fetched = {file.filename: file for file in (*self.fetched, *other.fetched)}

        return SessionReport(
            fetched=tuple(fetched.values()),
            refused_hosts=unique(self.refused_hosts, other.refused_hosts),
            unanswered=unique(self.unanswered, other.unanswered),
            missing_from_lock=unique(self.missing_from_lock, other.missing_from_lock),
            crates=self.crates.merge(other.crates),
            unanswered_crates=unique(self.unanswered_crates, other.unanswered_crates),
            unanswered_toolchains=unique(self.unanswered_toolchains, other.unanswered_toolchains),
            lacking_toolchains=unique(self.lacking_toolchains, other.lacking_toolchains),
        )

    def infrastructure_error(self) -> InfrastructureError | None:
        """Return the error that explains a failed job by the index rather than the package.

        None where the session got all that it asked for, so that the failure says something about the package.
        """
        if self.missing_from_lock:
            names = ", ".join(self.missing_from_lock)
            reason = f"--locked: nothing is recorded of {names}, which is needed now; run once without --locked"
            return InfrastructureError(reason, code="WF903")

        if self.unanswered:
            names = ", ".join(self.unanswered)
            return InfrastructureError(f"the package index did not give {names}", code="WF106")

        if self.unanswered_crates:
            crates = join_names(self.unanswered_crates, _MAX_NAMED_CRATES)
            reason = f"the registry of crates did not give {crates}"
            return InfrastructureError(reason, code="WF106")

        if self.unanswered_toolchains:
            asked = join_names(self.unanswered_toolchains, _MAX_NAMED_CRATES)
            reason = f"the base's Rust is older than the package asks for, and no other was to be had: {asked}"
            return InfrastructureError(reason, code="WF106")

        return None


def parse_record(record: bytes) -> list[dict[str, Any]]:
    """Return the events of a session's record, with every text cleaned: builds and the index chose the names in it.

    Raises:
        InfrastructureError: the proxy wrote more than it may, or what is no event.
    """
    lines = record.splitlines()
    if len(record) > _MAX_RECORD_BYTES or len(lines) > _MAX_EVENTS:
        raise InfrastructureError("the index proxy's record of a session is longer than it may be")

    events = []
    try:
        for line in lines:
            event: Any = clean_json(parse_answer(line, _MAX_EVENT_BYTES))
            texts = [event[field] for field in _EVENT_TEXTS[event["kind"]]]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError  # noqa: TRY301 - one answer for all that is no event
            if event["kind"] == "file":
                parse_file_name(event["entry"]["filename"])
                parse_sha256(event["entry"]["hashes"]["sha256"])
            elif event["kind"] == "crate":
                parse_crate(event)
            elif event["kind"] == "crate-page":
                parse_page(event)
            elif event["kind"] == "toolchain":
                parse_toolchain(event)
            elif event["kind"] == "toolchain-file":
                parse_toolchain_file(event)
            events.append(event)
    except (ValueError, TypeError, KeyError):
        raise InfrastructureError(
            "the index proxy's record of a session has a line that is no event"
        ) from None
    return events


def unique(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return values once each, in the order they come first."""
    return tuple(dict.fromkeys(chain(*groups)))


def unique_values(events: Iterable[Mapping[str, Any]], kind: str, field: str) -> tuple[str, ...]:
    """Return what events of one kind have in a field, each value once, in the order they come first.

    `[{"kind": "asked", "host": "a.invalid"}, …]`, `asked`, `host` -> `("a.invalid",)`
    """
    return unique(event[field] for event in events if event["kind"] == kind)
