"""Builds that failed because they asked for a host other than the package index, and which host that was.

No build reaches such a host. The index proxy, which is the HTTP proxy and the name server of a build, records the hosts
that it was asked for. A connection that uses neither leaves nothing but an error in the log, which is read here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from builder.untrusted.text import clean_line
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.jobs.build.failure import Failure
    from builder.verdicts.codes import FindingCode

UNKNOWN_HOST = "an address that the log does not name"

_MAX_HOSTS = 5  # how many are named in an error; the log has all
_CERTAIN_CODES: frozenset[FindingCode] = frozenset(
    {"WF203", "WF204", "WF205", "WF208", "WF210", "WF217", "WF218"}
)
"""Failures whose cause is certain, whatever hosts the build asked for: limits, patches, and repairing the wheel."""
_HOST_LIMIT = 300
"""Characters of a host that is named: a domain name has 253 at most, and a port follows."""
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
_MAX_ERRORS = 1000
"""How many network errors of a log are looked at, the first ones: some thousand characters are searched for each.
Builds that try an address again and again print some hundred."""


def find_unreachable_hosts(log: str, proxy_address: str) -> tuple[str, ...]:
    """Return the hosts that could not be reached, as a log names them; empty where it has no network error.

    `'curl: (6) Could not resolve host: files.example' -> ('files.example',)`. An error without a host near it gives
    `UNKNOWN_HOST`.

    Args:
        log: what a build printed, as `read_log` returns it.
        proxy_address: the index proxy's address. It is named in many errors and is skipped.
    """
    hosts: dict[str, None] = {}
    for error in islice(_NETWORK_ERROR.finditer(log), _MAX_ERRORS):
        first_char = max(0, error.start() - _CHARS_BEFORE)
        before = log[first_char : error.start()]
        after = log[error.start() : error.end() + _CHARS_AFTER]

        host = _nearest_host(before, after, proxy_address)
        hosts[host] = None

    return tuple(hosts)


def _nearest_host(before: str, after: str, proxy_address: str) -> str:
    """Return the host that a network error is about: the last one named before it, or else the first one after.

    Where neither text names a host, it is `UNKNOWN_HOST`.

    Args:
        before: the log before the error.
        after: the log from the error on.
        proxy_address: the index proxy's address, which is skipped.
    """
    hosts_before = _find_hosts(before, proxy_address)
    if hosts_before:
        return hosts_before[-1]
    hosts_after = _find_hosts(after, proxy_address)
    if hosts_after:
        return hosts_after[0]

    return UNKNOWN_HOST


def _find_hosts(text: str, proxy_address: str) -> list[str]:
    """Return the hosts that a text names, with their port if it has one. The proxy and the container are skipped.

    `'https://files.example:8443/a.zip' -> ['files.example:8443']`
    """
    hosts: list[str] = []
    for match in _HOST.finditer(text):
        host = next(filter(None, match.groups()))
        name, _, _ = host.partition(":")
        if name not in {proxy_address, "localhost", "127.0.0.1"}:
            hosts.append(clean_line(host, _HOST_LIMIT))

    return hosts


def add_blocked_hosts(failure: Failure, hosts: Sequence[str], package: str) -> Failure:
    """Return the failure of a build that asked for hosts which no build reaches: its finding becomes WF213.

    The failure comes back as it is where there are no such hosts, or where its cause is certain without them.

    Args:
        failure: the failure as the log alone explains it.
        hosts: the hosts that the build asked for.
        package: the package's name, for the remedy.
    """
    if not hosts or failure.code in _CERTAIN_CODES:
        return failure

    listed_hosts = join_names(hosts, _MAX_HOSTS)
    remedy = (
        f"have what it downloads in the sdist (`patches`), on the system (`apt`), or turned off (`env`, "
        f"`config-settings`) in [packages.{package}]"
    )
    # The log also names something of the system to install, which may help as well.
    if failure.missing:
        remedy = f"{remedy}; {failure.remedy}"

    return replace(
        failure,
        code="WF213",
        error=f"the build asked for {listed_hosts}, which no build reaches; its first error: {failure.error}",
        remedy=remedy,
    )


def is_certain(failure: Failure) -> bool:
    """Return whether the cause of a failure is certain, so that it counts even if the package index did not answer."""
    return failure.code in _CERTAIN_CODES
