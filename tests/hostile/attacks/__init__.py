"""The attacks, one list for each group."""

_SOURCES = "point 7: a package's metadata has no guard yet"
_READING = "point 12: what an index and an archive give is read without a bound"
_LOGS = "point 9: logs are searched as a whole"

MISSING: dict[str, str] = {
    "page-of-another": "point 4: a page may list files of another project",
    "deep-marker": _SOURCES,
    "deep-page": _SOURCES,
    "deep-toml": _SOURCES,
    "metadata-two-x": _SOURCES,
    "no-version": _SOURCES,
    "odd-marker": _SOURCES,
    "version-of-digits": _SOURCES,
    "log-of-cmake": _LOGS,
    "log-of-empty-lines": _LOGS,
    "log-of-one-line": _LOGS,
    "log-of-one-word": _LOGS,
    "log-of-the-network": _LOGS,
    "answer-about-another": "point 10: what was loaded need not be the package",
    "endless-metadata": _READING,
    "endless-name": _READING,
    "endless-page": _READING,
    "gzip-page": _READING,
    "metadata-bomb": _READING,
    "slow-file": _READING,
    "slow-page": _READING,
    "wheel-metadata-bomb": _READING,
    "commands-of-ci": "medium: lines of texts reach a terminal as they are",
    "terminal-escapes-in-the-log": "medium: text of logs is not cleaned",
}
"""Attacks that get through because their wall is not there yet, with what is missing.

A test of these that passes all the same fails: then the row goes.
"""
