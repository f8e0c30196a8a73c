"""Host settings passed into containers: the CA bundle, proxies, pip's index settings, and apt's archives.

Each is read from the client that owns it, so that what works on the host works inside.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

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

UNKNOWN_STATUSES_VARIABLE = "WHEELFARM_UNKNOWN_STATUSES"
"""Environment variable with the statuses by which an index says, besides 404, that it does not have a project.

`401,403`, for instance: some private indexes answer so for every name that they do not have. Without the variable the
run ends there, because going on to the next index could take a public package in place of a private one.
"""

_KEYRING_TIMEOUT_S = 30  # it may ask a service of the desktop; not measured
_APT_TIMEOUT_S = 30  # it reads lists that are there; not measured


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """Where pip on this machine takes packages from.

    Attributes:
        url: the index (PEP 503), with the user and password that pip would send there.
        extra_urls: further ones, asked in order.
        trusted_hosts: `HOST` or `HOST:PORT`, whose certificates are not checked.
        ca_bundle: file of CA certificates that pip is told to trust; empty for none.
        client_certificate: file with a certificate and its key, by which the index knows this machine; empty for none.
        http_proxy: the proxy that pip is told to use; empty for those of the environment.
        left_out: settings that mean this machine's file system, which no container sees.
    """

    url: str
    extra_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    ca_bundle: str = ""
    client_certificate: str = ""
    http_proxy: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """All indexes, the first one first."""
        return (self.url, *self.extra_urls)

    @property
    def public_urls(self) -> tuple[str, ...]:
        """The same without credentials: what may be shown and recorded."""
        return tuple(map(without_credentials, self.urls))

    def environment(self) -> dict[str, str]:
        """Return the variables that give pip and uv these settings.

        User names and passwords in the URLs are left out: code under test sees these variables.
        """
        first, *others = self.public_urls
        environment = {"PIP_INDEX_URL": first, "UV_DEFAULT_INDEX": first}

        if others:
            environment["PIP_EXTRA_INDEX_URL"] = environment["UV_INDEX"] = " ".join(others)
        if self.trusted_hosts:
            hosts = " ".join(self.trusted_hosts)
            environment["PIP_TRUSTED_HOST"] = environment["UV_INSECURE_HOST"] = hosts

        return environment


def without_credentials(url: str) -> str:
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

    asks_keyring = options.keyring_provider != "disabled"
    return IndexSettings(
        url=_add_credentials(str(options.index_url).rstrip("/") + "/", asks_keyring=asks_keyring),
        extra_urls=tuple(_add_credentials(url, asks_keyring=asks_keyring) for url in reachable),
        trusted_hosts=tuple(options.trusted_hosts),
        ca_bundle=options.cert or "",
        client_certificate=options.client_cert or "",
        http_proxy=_complete_proxy(options.proxy or ""),
        left_out=tuple(left_out),
    )


def _add_credentials(url: str, *, asks_keyring: bool) -> str:
    """Return a URL with the user and password that pip would send there.

    As with pip, those in the URL come first, then those in netrc, then, for a user without a password, the keyring's.
    What is found here reaches containers' requests, too, which see neither of the two.

    Args:
        url: of an index.
        asks_keyring: whether pip may ask the keyring.
    """
    from requests.utils import get_netrc_auth

    parts = urlsplit(url)
    if parts.password is not None:
        return url

    if parts.username is None:
        found = get_netrc_auth(url)
        return url if found is None else _put_credentials(url, *found)

    user = unquote(parts.username)
    password = _ask_keyring(without_credentials(url), user) if asks_keyring else ""
    return _put_credentials(url, user, password) if password else url


def _put_credentials(url: str, user: str, password: str) -> str:
    parts = urlsplit(without_credentials(url))
    return urlunsplit(
        parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}")
    )


def _ask_keyring(url: str, user: str) -> str:
    """Return the password that the command `keyring` has of a user of an index; empty where it has none."""
    program = shutil.which("keyring")
    if program is None:
        return ""

    for service in (url, urlsplit(url).netloc):
        try:
            completed = subprocess.run(
                [program, "get", service, user],
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=_KEYRING_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        password = completed.stdout.removesuffix("\n")
        if completed.returncode == 0 and password:
            return password
    return ""


def _complete_proxy(proxy: str) -> str:
    """Return pip's proxy with a scheme: pip takes `host:port` as well."""
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def unknown_statuses() -> frozenset[int]:
    """Return the statuses by which an index says that it does not have a project; 404 is always among them."""
    words = os.environ.get(UNKNOWN_STATUSES_VARIABLE, "").replace(",", " ").split()
    stated = {int(word) for word in words if word.isascii() and word.isdigit()}
    return frozenset({404, *stated})


@cache
def ca_bundle() -> Path:
    """Return the file of CA certificates that clients on this machine use.

    The first that exists of: the files that variables such as SSL_CERT_FILE name, the one that pip is configured with,
    the system's bundle, certifi's.
    """
    named = [os.environ.get(variable) for variable in _CA_VARIABLES]
    for candidate in (*named, index_settings().ca_bundle, CA_IN_CONTAINER):
        if candidate and Path(candidate).is_file():
            return Path(candidate)

    return Path(certifi.where())


def proxy_variables() -> dict[str, str]:
    """Return the proxy variables that are set on this machine, each in lower and upper case: some tools read only one.

    `https_proxy=http://p.invalid` -> that, and `HTTPS_PROXY=http://p.invalid`. Empty where none is set.
    A proxy that pip is configured with counts more than the environment's, as it does for pip.
    """
    configured = index_settings().http_proxy
    variables: dict[str, str] = {}
    for name in _PROXY_VARIABLES:
        is_replaced = bool(configured) and name in {"http_proxy", "https_proxy"}
        value = configured if is_replaced else os.environ.get(name) or os.environ.get(name.upper())
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


@cache
def describe_processor() -> str:
    """Return what compilers that make code for this machine's processor go by: its kind, and a hash of its features.

    `GenuineIntel 6/85/7 1f0c…`; where the kernel does not say, what it calls the machine, `unknown x86_64`.
    """
    fields: dict[str, str] = {}
    with contextlib.suppress(OSError):
        # The first of all processors stands for the others.
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        for line in text.partition("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            fields[name.strip()] = value.strip()

    features = " ".join(sorted(fields.get("flags", fields.get("Features", "")).split()))
    if not features:
        return f"unknown {platform.machine()}"

    model = "/".join(fields.get(name, "") for name in ("cpu family", "model", "stepping"))
    digest = hashlib.sha256(features.encode()).hexdigest()
    return f"{fields.get('vendor_id', 'unknown')} {model} {digest[:16]}"


def is_root() -> bool:
    """Return whether this process may install system packages."""
    return os.geteuid() == 0
