"""Finds out which calls of a package end well, with which arguments."""
