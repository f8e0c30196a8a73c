"""Builds that failed because they asked for a host other than the package index, and which host that was.

No build reaches such a host. The index proxy, which is the HTTP proxy and the name server of a build, records the hosts
that it was asked for. A connection that uses neither leaves nothing but an error in the log, which is read here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from builder.untrusted.package_names import table_key
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
_EXPLAINED_CODES = _CERTAIN_CODES | {"WF225"}
"""Failures that say themselves what was asked for and not had: of crates, cargo's own default is of no interest."""
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

_FETCH_HINT = re.compile(r" found|not found, will |://|Cloning into ")
_FETCHED = re.compile(
    r"""No\ package\ '(?P<pkg_config>[\w.+-]++)'\ found
    |Run-time\ dependency\ (?P<dependency>[\w.+-]++)\ found:\ NO
    |(?<![\w.+-])(?P<bundled>[\w.+-]++)\ not\ found,\ will\ (?:bundle|download|fetch|build)
    |/(?P<archive>[A-Za-z][A-Za-z0-9+]++)[-_]v?[0-9][\w.-]*?\.(?:tar|tgz|tbz2|txz|zip)\b
    |Cloning\ into\ '(?:[^'\s]*/)?(?P<clone>[\w.+-]++)'""",
    re.VERBOSE,
)
"""How a line names a library that the build looks for, does not find, and fetches: words of tools, and addresses."""

_MAX_FETCH_LINES = 2000  # a screenful of them is much; what follows is more of the same
_LINE_CHARS = 1000
_KINDS = {
    "pkg_config": "pkg-config"
}  # of what is missing (judge/apt_contents.py); all others may be anything
_MAX_FETCHED = 5
"""How many such libraries are looked up, the last ones: the first of many are options that a build does without."""

_FETCH_CONTENT = re.compile(r"FetchContent|/_deps/|-subbuild\b")
_LOOK_FIRST = 'env = { CMAKE_ARGS = "-DFETCHCONTENT_TRY_FIND_PACKAGE_MODE=ALWAYS" } has CMake look on the system first'


def find_fetched_libraries(log: str) -> tuple[tuple[str, str], ...]:
    """Return what a build fetches because it did not find it on the system, as (kind, name).

    The kinds are those of judge/apt_contents.py. `libzmq not found, will bundle libzmq` gives
    `(("dependency", "libzmq"),)`; an archive's address counts, too.

    Args:
        log: what the build printed, as `read_log` returns it.
    """
    libraries: dict[str, str] = {}
    for hint in islice(_FETCH_HINT.finditer(log), _MAX_FETCH_LINES):
        line_start = log.rfind("\n", 0, hint.start()) + 1
        line_end = log.find("\n", hint.end())
        line = log[line_start : line_end if line_end >= 0 else None][:_LINE_CHARS]
        for match in _FETCHED.finditer(line):
            group = str(match.lastgroup)
            name = clean_line(match[group], _HOST_LIMIT)
            libraries.setdefault(name, _KINDS.get(group, "dependency"))

    last = list(libraries.items())[-_MAX_FETCHED:]
    return tuple((kind, name) for name, kind in last)


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


def add_blocked_hosts(
    failure: Failure, hosts: Sequence[str], package: str, log: str = ""
) -> Failure:
    """Return the failure of a build that asked for hosts which no build reaches: its finding becomes WF213.

    The failure comes back as it is where there are no such hosts, or where its cause is certain without them.

    Args:
        failure: the failure as the log alone explains it.
        hosts: the hosts that the build asked for.
        package: the package's name, for the remedy.
        log: what the build printed; what it fetches is read from there, to be looked for among system packages.
    """
    if not hosts or failure.code in _EXPLAINED_CODES:
        return failure

    listed_hosts = join_names(hosts, _MAX_HOSTS)
    remedy = (
        f"have what it downloads in the sdist (`patches`), on the system (`apt`), or turned off (`env`, "
        f"`config-settings`) in [packages.{table_key(package)}]"
    )
    if _FETCH_CONTENT.search(log):
        remedy = f"{remedy}; {_LOOK_FIRST}"
    # The log also names something of the system to install, which may help as well.
    if failure.missing:
        remedy = f"{remedy}; {failure.remedy}"

    missing = dict.fromkeys((*failure.missing, *find_fetched_libraries(log)))
    return replace(
        failure,
        code="WF213",
        error=f"the build asked for {listed_hosts}, which no build reaches; its first error: {failure.error}",
        remedy=remedy,
        missing=tuple(missing),
    )


def is_certain(failure: Failure) -> bool:
    """Return whether the cause of a failure is certain, so that it counts even if the package index did not answer."""
    return failure.code in _CERTAIN_CODES
