"""Wheels built elsewhere: read, then loaded."""
