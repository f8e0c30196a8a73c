"""Hashes that the matrix states: a file that is taken has one of them."""

from __future__ import annotations


class HashMismatchError(Exception):
    """A file has none of the hashes that the matrix wants; the text says which."""


def explain_hash(filename: str, sha256: str, hashes: tuple[str, ...]) -> str:
    """Return what is wrong with a file's hash, in a sentence; empty where it is one of those that the matrix has.

    Any hash will do where the matrix has none.
    """
    if not hashes or sha256 in hashes:
        return ""

    wanted = hashes[0] if len(hashes) == 1 else f"one of {len(hashes)} others"
    return f"{filename} has sha256 {sha256}; the matrix wants {wanted}"


def check_hash(filename: str, sha256: str, hashes: tuple[str, ...]) -> None:
    """Go on where a file has one of the hashes that the matrix has, or where that has none.

    Raises:
        HashMismatchError: it has another.
    """
    mismatch = explain_hash(filename, sha256, hashes)
    if mismatch:
        raise HashMismatchError(mismatch)
