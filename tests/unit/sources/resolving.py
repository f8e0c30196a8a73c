"""Resolves matrices against a loopback index."""

import tomllib
from pathlib import Path

from packaging.version import Version

from builder.config import matrix
from builder.host.settings import IndexSettings
from builder.sources import Sources, resolve
from builder.sources.client import Index
from builder.store.store import Store

PYTHON = Version("3.14.5")


def ask(
    text: str, store: Store, settings: IndexSettings, root: Path = Path(), fresh_s: float = 0.0
) -> Sources:
    loaded = matrix.parse(tomllib.loads(text), root / "matrix.toml")
    return resolve(
        loaded,
        store,
        Index(settings, store),
        PYTHON,
        names=list(loaded.packages),
        fresh_s=fresh_s,
        say=lambda _: None,
    )
