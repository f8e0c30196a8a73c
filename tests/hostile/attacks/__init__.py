"""The attacks, one list for each group."""

MISSING: dict[str, str] = {}
"""Attacks that get through because their wall is not there yet, with what is missing.

A test of these that passes all the same fails: then the row goes.
"""
