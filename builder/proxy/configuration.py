"""What the proxy's programs are told, and what the programs in a container are told of the proxy."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from builder.host import settings as host

if TYPE_CHECKING:
    from builder.config.cool_down import CoolDown

CACHE_FOLDER = "/opt/wheelfarm/index"
"""Where the index cache is installed in its image, as a virtual environment."""
HOME = "/farm/proxy"
"""Where the proxy's container has its configuration, sessions and files."""

PORT = 8314
_CACHE_PORT = 5000
_NAMES_PORT = 53
_CLIENT_CERTIFICATE = f"{HOME}/client.pem"
_FETCH_TIMEOUT_S = "600"  # for the largest files over a slow line; not measured
_CLIENT_PROXY_VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")


def client_environment(address: str, port: int, token: str) -> dict[str, str]:
    """Return the variables by which the programs in a container find the index and reach nothing else.

    pip and uv get the session's index. All other requests go to the proxy as well, where they are refused and recorded.

    Args:
        address: of the proxy.
        port: of the proxy.
        token: of the session.
    """
    base = f"http://{address}:{port}/{token}"
    environment = {
        "PIP_INDEX_URL": f"{base}/simple/",
        "PIP_TRUSTED_HOST": address,
        "PIP_DEFAULT_TIMEOUT": _FETCH_TIMEOUT_S,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_DEFAULT_INDEX": f"{base}/simple/",
        "UV_HTTP_TIMEOUT": _FETCH_TIMEOUT_S,
    }
    # The proxy refuses requests for anything else; the user name in its address tells it which session they are of.
    refusing_proxy = f"http://{token}:x@{address}:{port}"
    for name in _CLIENT_PROXY_VARIABLES:
        environment[name] = environment[name.upper()] = refusing_proxy

    environment["no_proxy"] = environment["NO_PROXY"] = f"{address},localhost,127.0.0.1,::1"
    return environment


def describe_proxy(index: host.IndexSettings) -> dict[str, Any]:
    """Return the configuration that builder/inside/proxy/server.py reads.

    The index's credentials are in it. They stay in the proxy's container, which no code under test sees.
    """
    certificates = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), host.CA_IN_CONTAINER)
    proxies = host.proxy_variables()
    # The cache is asked on this address, never by the host's proxy.
    direct_hosts = ",".join(filter(None, ("127.0.0.1", proxies.get("no_proxy"))))

    return {
        "port": PORT,
        "names_port": _NAMES_PORT,
        "environment": {
            **certificates,
            **proxies,
            "no_proxy": direct_hosts,
            "NO_PROXY": direct_hosts,
        },
        "cache": {
            "url": f"http://127.0.0.1:{_CACHE_PORT}/index/",
            "command": _cache_command(),
            "environment": _cache_environment(index),
        },
    }


def list_cutoffs(cool_down: CoolDown | None) -> dict[str, str | None]:
    """Return before when files have to have been uploaded, as builder/inside/proxy/upstream.py takes it."""
    if cool_down is None:
        return {}

    cutoffs: dict[str, str | None] = {}
    for name in ("", *cool_down.by_name):
        cutoff = cool_down.cutoff(name)
        cutoffs[name] = None if cutoff is None else cutoff.isoformat()
    return cutoffs


def _cache_command() -> list[str]:
    """Return the command that serves the index cache, the application in builder/inside/proxy/cache.py, by gunicorn."""
    options = {
        "--bind": f"127.0.0.1:{_CACHE_PORT}",
        "--threads": "8",
        "--timeout": "0",  # a large file may take its time
        "--worker-tmp-dir": "/dev/shm",  # noqa: S108 - inside the proxy's container
        "--log-level": "warning",
        "--chdir": "/",
    }
    return [f"{CACHE_FOLDER}/bin/gunicorn", *chain(*options.items()), "inside.proxy.cache:app"]


def list_certificates(index: host.IndexSettings) -> dict[str, bytes | Path]:
    """Return the certificate by which this machine is known to its index, as a file for the proxy's container alone."""
    if not index.client_certificate:
        return {}
    return {_CLIENT_CERTIFICATE: Path(index.client_certificate)}


def _cache_environment(index: host.IndexSettings) -> dict[str, str]:
    """Return the settings of proxpi, the index cache, as variables.

    If the host of one index is among pip's `trusted-host` settings, certificates are verified for none of the indexes:
    proxpi has one switch for all of them.
    """
    index_hosts = {urlsplit(url).hostname for url in index.urls}
    trusted_hosts = {name.partition(":")[0] for name in index.trusted_hosts}  # without the port
    skips_verification = bool(index_hosts & trusted_hosts)

    return {
        "PROXPI_INDEX_URL": index.url,
        "PROXPI_EXTRA_INDEX_URLS": ",".join(index.extra_urls),
        "WHEELFARM_TRUSTED_HOSTS": ",".join(index.trusted_hosts),
        "WHEELFARMCLIENT_CERTIFICATE": _CLIENT_CERTIFICATE if index.client_certificate else "",
        "WHEELFARM_UNKNOWN_STATUSES": ",".join(map(str, sorted(host.unknown_statuses()))),
        "PROXPI_DISABLE_INDEX_SSL_VERIFICATION": "1" if skips_verification else "",
        "PROXPI_CACHE_DIR": "/tmp/cache",  # noqa: S108 - inside the proxy's container
        "PROXPI_DOWNLOAD_TIMEOUT": _FETCH_TIMEOUT_S,
        "PROXPI_CONNECT_TIMEOUT": "10",
        "PROXPI_READ_TIMEOUT": "120",
        "PROXPI_LOGGING_LEVEL": "WARNING",
    }
