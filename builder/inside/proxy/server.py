"""The farm's index proxy: a thin layer over an index cache that runs beside it in the same container.

Usage: python -m inside.proxy CONFIG.json

What it is given lies beside the configuration: `files/`, `sessions/`.

Clients are code of packages. Each address has a number of connections, each request a limit on its head and on the time
that it takes altogether, and each session a number of requests and bytes (sessions.py); what exceeds them is cut off.

The layer adds what the cache does not have: a record of what each build fetched, pages that hold only what is locked,
and files the farm knows already when the index is silent. Every build has a session, named by a token that is part of
its index's address:

    /TOKEN/simple/PROJECT/      what the index has, or in a locked session only what is recorded

Builds are also told that this is their HTTP proxy and their name server: whatever they ask for beside the index is
refused, and written down. Pages are JSON (PEP 691), which every client that is asked to use them takes.

By that HTTP proxy cargo reaches a registry of crates (crates.py), and a program of the farm's Rust toolchains
(toolchains.py), at hosts that exist nowhere else. The address of the former is the same for every build, because cargo
names folders by it, and compilers write these into what they make.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

from . import names
from .addresses import AddressRule
from .crates import CrateRegistry
from .files import FileFolders
from .handler import Handler
from .listening import Server
from .sessions import Sessions
from .toolchains import ToolchainServer
from .upstream import Upstream

_ADDRESS = "0.0.0.0"
"""The container's address on the private network is not known yet when this starts."""


def _make_rule(cache_url: str, environment: dict[str, str]) -> AddressRule:
    """Return where the process itself may connect to for the index: besides what the cache may, to the cache.

    Args:
        cache_url: of the cache.
        environment: the cache's settings.
    """
    indexes = [environment["PROXPI_INDEX_URL"], *environment["PROXPI_EXTRA_INDEX_URLS"].split(",")]
    return AddressRule(
        [url for url in indexes if url],
        trusted_hosts=environment["WHEELFARM_TRUSTED_HOSTS"].split(","),
        services=[cache_url, *_list_http_proxies()],
    )


def _make_single_rule(url: str) -> AddressRule:
    """Return where the process may connect to for one server, besides the network's HTTP proxies; empty for none."""
    return AddressRule([url] if url else [], services=_list_http_proxies())


def _list_http_proxies() -> list[str]:
    """Return the HTTP proxies of the network that this process is told to use."""
    http_proxies = []
    for scheme, url in urllib.request.getproxies().items():
        if scheme in {"http", "https"}:
            http_proxies.append(url if "://" in url else f"http://{url}")

    return http_proxies


def main() -> None:
    """Start the index cache, the name server and this layer, then write `/result/ready`, which the farm waits for."""
    path = Path(sys.argv[1])
    config = json.loads(path.read_text())
    result = Path("/result")

    cache = config["cache"]
    environment = {**os.environ, **config["environment"], **cache["environment"]}
    subprocess.Popen(cache["command"], env=environment)

    # For what this process itself asks for: a redirect of the cache is followed with the host's proxies and CA.
    os.environ.update(config["environment"])
    files = FileFolders(given=path.parent / "files", fetched=result / "files")
    Handler.upstream = Upstream(
        cache["url"],
        files,
        held=config["held"],
        rule=_make_rule(cache["url"], cache["environment"]),
        uploaded_before=config["uploaded_before"],
    )
    crates, toolchains = config["crates"], config["toolchains"]
    Handler.crates = CrateRegistry(crates, files, _make_single_rule(crates["url"]))
    Handler.toolchains = ToolchainServer(toolchains, files, _make_single_rule(toolchains["url"]))
    Handler.sessions = Sessions(path.parent / "sessions", result / "records")

    server = Server((_ADDRESS, config["port"]), Handler)
    name_server = threading.Thread(
        target=names.serve,
        args=((_ADDRESS, config["names_port"]), Handler.sessions),
        daemon=True,
    )
    name_server.start()

    (result / "ready").touch()
    server.serve_forever()


if __name__ == "__main__":
    main()
