"""A build that asked for more than the package index: told apart from other failures, with the host it asked for.

The index proxy writes down what it was asked for, as HTTP proxy and as name server. A connection to a bare address
that ignores both leaves nothing but an error in the log.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.finding_codes import FindingCode
    from builder.jobs.build.failure import Failure

UNKNOWN_HOST = "an address that the log does not name"

_MAX_HOSTS = 5  # named in a sentence; the log has all
_CERTAIN_CODES: frozenset[FindingCode] = frozenset({"WF203", "WF204", "WF205", "WF208", "WF210"})
"""Failures whose cause is certain, whatever else the build did."""
_NETWORK_ERROR = re.compile(
    r"Network is unreachable|No route to host|Temporary failure in name resolution|Name or service not known"
    r"|nodename nor servname provided|Could not resolve (?:host|proxy)"
)
_HOST = re.compile(
    r"""Could\ not\ resolve\ host:\ ([\w.-]+)
    |ConnectionPool\(host='([^']+)'
    |\b(?:https?|ftp|git)://(?:[^/\s'"@]*@)?([\w.-]+(?::\d+)?)
    |\(\(?['"]([\w-]+(?:\.[\w-]+)+)['"],\s*\d+""",
    re.VERBOSE,
)
# How far from the error a host may be named, in characters: pip and curl name it on the same line or the next, a
# traceback some frames before. Not measured.
_CHARS_BEFORE = 2000
_CHARS_AFTER = 300


def find_unreachable_hosts(log: str, own: str) -> tuple[str, ...]:
    """Return the hosts that a log says could not be reached.

    Args:
        log: what a build printed.
        own: the index proxy's address, which is no such host.
    """
    hosts: dict[str, None] = {}
    for error in _NETWORK_ERROR.finditer(log):
        before = log[max(0, error.start() - _CHARS_BEFORE) : error.start()]
        after = log[error.start() : error.end() + _CHARS_AFTER]
        hosts[_nearest_host(before, after, own)] = None

    return tuple(hosts)


def _nearest_host(before: str, after: str, own: str) -> str:
    """Return the host that an error is about: the last one named before it, or the first one after."""
    hosts_before = _find_hosts(before, own)
    if hosts_before:
        return hosts_before[-1]
    hosts_after = _find_hosts(after, own)
    if hosts_after:
        return hosts_after[0]

    return UNKNOWN_HOST


def _find_hosts(text: str, own: str) -> list[str]:
    """Return the hosts that a text names, but for the index proxy and the container itself."""
    hosts: list[str] = []
    for match in _HOST.finditer(text):
        host = next(filter(None, match.groups()))
        name, _, _ = host.partition(":")
        if name not in {own, "localhost", "127.0.0.1"}:
            hosts.append(host)

    return hosts


def add_blocked_hosts(failure: Failure, asked: Sequence[str], package: str) -> Failure:
    """Return a failure with the hosts that the build asked for and does not reach.

    Args:
        failure: as the log alone explains it.
        asked: the hosts.
        package: the package's name, for the remedy.
    """
    if not asked or failure.code in _CERTAIN_CODES:
        return failure

    hosts = join_names(asked, _MAX_HOSTS)
    remedy = (
        f"have what it downloads in the sdist (`patches`), on the system (`apt`), or turned off (`env`, "
        f"`config-settings`) in [packages.{package}]"
    )
    if failure.missing:
        remedy = f"{remedy}; {failure.remedy}"

    return replace(
        failure,
        code="WF213",
        error=f"the build asked for {hosts}, which no build reaches; its first error: {failure.error}",
        remedy=remedy,
    )


def is_certain(failure: Failure) -> bool:
    """Return whether a failure stands even if the package index did not answer."""
    return failure.code in _CERTAIN_CODES
