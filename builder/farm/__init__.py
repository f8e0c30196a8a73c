"""Whole runs, and what keeps a wheelhouse in order."""
