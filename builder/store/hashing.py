"""One hash for values and texts, by which keys are made."""

from __future__ import annotations

import hashlib
import json

_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def digest(*parts: object) -> str:
    """Hash JSON-able values into a key, independent of the order of mappings."""
    return hashlib.sha256(_canonical_json(parts).encode()).hexdigest()


def digest_text(text: str) -> str:
    """Hash text into 32 hexadecimal digits, for values that are compared by the ten thousand."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
