"""Host settings passed into containers: the CA bundle, proxies, pip's index settings, and apt's archives.

Each is read from the client that owns it, so that what works on the host works inside.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import certifi

CA_IN_CONTAINER = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian and Ubuntu keep the system bundle; the farm's images carry the host's there."""

_CA_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")

_UNNAMED_ORIGIN = "$(ORIGIN)"
"""What apt prints for the origin of a repository that names none: the placeholder, as `_list_apt_indexes` wrote it."""

MAX_FILE_VARIABLE = "WHEELFARM_MAX_FILE_MIB"
"""Environment variable with the largest file that is taken from an index, in MiB."""

_MAX_FILE_MIB = 2048
"""What it is where the variable is not set: the largest wheels on public indexes have about 1 GiB."""

_APT_TIMEOUT_S = 30  # it reads lists that are there; not measured


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """Where pip on this machine takes packages from.

    Attributes:
        url: the index (PEP 503).
        extra_urls: further ones, asked in order.
        left_out: settings that mean this machine's file system, which no container sees.
    """

    url: str
    extra_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """All indexes, the first one first."""
        return (self.url, *self.extra_urls)

    def environment(self) -> dict[str, str]:
        """Return the variables that give pip and uv these settings.

        User names and passwords in the URLs are left out: code under test sees these variables.
        """
        first, *others = (_without_credentials(url) for url in self.urls)
        environment = {"PIP_INDEX_URL": first, "UV_DEFAULT_INDEX": first}

        if others:
            environment["PIP_EXTRA_INDEX_URL"] = environment["UV_INDEX"] = " ".join(others)
        if self.trusted_hosts:
            hosts = " ".join(self.trusted_hosts)
            environment["PIP_TRUSTED_HOST"] = environment["UV_INSECURE_HOST"] = hosts

        return environment


def _without_credentials(url: str) -> str:
    """Return a URL without user name and password: `https://me:secret@a.invalid/b` -> `https://a.invalid/b`."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


@cache
def index_settings() -> IndexSettings:
    """Return where `pip install` on this machine takes packages from, by pip's own files, variables and defaults.

    Further indexes of another scheme than HTTP, and all `find-links`, come back as `left_out`.
    """
    # pip's own option parser, which is private: docs/decisions/0018-pip-configuration.md says why.
    from pip._internal.commands import create_command

    options, _ = create_command("download").parse_args([])
    extra_urls = [str(url) for url in options.extra_index_urls]
    reachable = [url for url in extra_urls if urlsplit(url).scheme in {"http", "https"}]
    left_out = [source for source in (*extra_urls, *options.find_links) if source not in reachable]

    return IndexSettings(
        url=str(options.index_url).rstrip("/") + "/",
        extra_urls=tuple(reachable),
        trusted_hosts=tuple(options.trusted_hosts),
        left_out=tuple(left_out),
    )


@cache
def ca_bundle() -> Path:
    """Return the file of CA certificates that clients on this machine use.

    The first that exists of: the files that variables such as SSL_CERT_FILE name, the system's bundle, certifi's.
    """
    named_by_variables = [os.environ.get(variable) for variable in _CA_VARIABLES]
    for candidate in (*named_by_variables, CA_IN_CONTAINER):
        if candidate and Path(candidate).is_file():
            return Path(candidate)

    return Path(certifi.where())


def proxy_variables() -> dict[str, str]:
    """Return the proxy variables that are set on this machine, each in lower and upper case: some tools read only one.

    `https_proxy=http://p.invalid` -> that, and `HTTPS_PROXY=http://p.invalid`. Empty where none is set.
    """
    variables: dict[str, str] = {}
    for name in _PROXY_VARIABLES:
        value = os.environ.get(name) or os.environ.get(name.upper())
        if value:
            variables[name] = variables[name.upper()] = value

    return variables


def build_proxy_variables() -> dict[str, str]:
    """Return the proxy variables for the build of an image, under the names that engines keep out of its history.

    Engines know these names without an `ARG` in the Dockerfile, and record their values nowhere: they may have a
    password. `all_proxy` is not among the names everywhere, so that it stands for those of HTTP that are not set.
    """
    variables = proxy_variables()
    fallback = variables.pop("all_proxy", None)
    variables.pop("ALL_PROXY", None)
    if fallback is None:
        return variables

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        variables.setdefault(name, fallback)
    return variables


def container_environment() -> dict[str, str]:
    """Return the variables of every container with a network: CA bundle, proxies, and pip's and uv's index."""
    return {**_client_variables(), **proxy_variables()}


def container_assignments() -> str:
    """Return the variables of one step of a Dockerfile, as text for a shell's `eval env …`.

    `'PIP_CERT=/etc/ssl/certs/ca-certificates.crt' 'PIP_INDEX_URL=http://i.invalid/simple/'`

    This text is in the image's history for good. So proxies, which may have a password, are not in it: they reach the
    step by `build_proxy_variables`.
    """
    variables = _client_variables().items()
    return " ".join(f"'{name}={value}'" for name, value in variables)


def _client_variables() -> dict[str, str]:
    """Return the variables by which clients find the CA bundle and the index, without credentials."""
    return {**dict.fromkeys(_CA_VARIABLES, CA_IN_CONTAINER), **index_settings().environment()}


@dataclass(frozen=True, kw_only=True, slots=True)
class AptArchive:
    """A distribution's archive as apt on this machine is configured.

    Attributes:
        main: URI of the archive.
        security: URI of the security archive.
    """

    main: str
    security: str


def host_distribution() -> str:
    """Return the id of this machine's distribution (os-release), such as `debian` or `ubuntu`; empty when unknown."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""

    for line in lines:
        if line.startswith("ID="):
            return line.removeprefix("ID=").strip('"')

    return ""


def host_archive(name: str) -> AptArchive | None:
    """Return the archive from which apt on this machine takes the packages of a distribution, or a mirror of it.

    None where this machine runs another distribution, or where apt is configured for no archive of that distribution.
    Where apt is configured for no security archive, `security` is the same as `main`.

    Args:
        name: the distribution, as os-release calls it, such as `debian`.
    """
    if host_distribution() != name:
        return None

    main = security = ""
    for line in _list_apt_indexes().splitlines():
        fields = line.split(" ", 2)
        if len(fields) < 3:  # noqa: PLR2004 - URI, release and origin
            continue  # not a line of the format that was asked for

        uri, release, origin = fields
        # A repository that names no origin is taken for a mirror of the distribution.
        is_mirror = origin.upper() == _UNNAMED_ORIGIN
        if origin.lower() != name and not is_mirror:
            continue  # another vendor's repository

        # Of the main and of the security archives, the first one counts.
        is_security = release.endswith("security")
        if is_security and not security:
            security = uri
        elif not is_security and not main:
            main = uri

    if not main:
        return None

    return AptArchive(main=main, security=security or main)


def _list_apt_indexes() -> str:
    """Return the package lists that apt is configured for, one a line: its URI, release and origin.

    `http://mirror.invalid/debian bookworm Debian`

    Empty where there is no apt, or where it fails or takes too long.
    """
    command = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(ORIGIN)",
        "Created-By: Packages",
    ]
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_APT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""

    return completed.stdout


def max_file_bytes() -> int:
    """Return the largest file that is taken from an index, in bytes."""
    text = os.environ.get(MAX_FILE_VARIABLE, "")
    mib = int(text) if text.isascii() and text.isdigit() else _MAX_FILE_MIB
    return mib << 20


def is_root() -> bool:
    """Return whether this process may install system packages."""
    return os.geteuid() == 0
