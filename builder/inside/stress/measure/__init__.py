"""Measures how many calls a second threads make."""
