"""Where Rust toolchains are distributed for this machine, in rustup's format.

rustup's own variable is read, and one of the farm's counts more. No server is named here: where none is set there is
none, since rustup's own default is known to rustup alone.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from builder.host.settings import without_credentials

SERVER_VARIABLE = "WHEELFARM_RUSTUP_DIST_SERVER"
"""Environment variable with the address of a server that has `dist/channel-rust-VERSION.toml`."""

RUSTUP_VARIABLE = "RUSTUP_DIST_SERVER"
"""rustup's own, which means the same (The rustup book, "Environment variables")."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolchainServer:
    """A server of Rust toolchains.

    Attributes:
        url: its address, with a slash at the end and without credentials.
        authorization: what it gets in `Authorization`, by the user and password of its address; empty for nothing.
    """

    url: str
    authorization: str = ""


def find_toolchain_server() -> ToolchainServer | None:
    """Return the server that Rust toolchains come from; None where none is set, or none that speaks HTTP.

    `WHEELFARM_RUSTUP_DIST_SERVER=https://me:secret@rust.invalid`
    """
    stated = os.environ.get(SERVER_VARIABLE) or os.environ.get(RUSTUP_VARIABLE) or ""
    url = stated.strip().rstrip("/") + "/"
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    if not is_http:
        return None

    authorization = ""
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    return ToolchainServer(url=without_credentials(url), authorization=authorization)
