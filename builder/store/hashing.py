"""One hash for values and texts, by which keys are made."""

from __future__ import annotations

import hashlib
import json

_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def digest(*parts: object) -> str:
    """Hash JSON-able values into a key, independent of the order of mappings."""
    return hashlib.sha256(_encode(_canonical_json(parts))).hexdigest()


def digest_text(text: str) -> str:
    """Hash text into 32 hexadecimal digits, for values that are compared by the ten thousand."""
    return hashlib.blake2b(_encode(text), digest_size=16).hexdigest()


def _encode(text: str) -> bytes:
    """Return any text as bytes: metadata of a package can have halves of surrogate pairs, which UTF-8 has not."""
    return text.encode(errors="surrogatepass")
