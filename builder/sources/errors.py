"""What can go wrong between the farm and the index; each becomes a finding, or an answer of its own."""


class NoIndexAnswerError(Exception):
    """The index does not answer: the farm cannot tell what it has."""


class FileMismatchError(Exception):
    """A file is not what the index promises."""


class UnusableFileError(FileMismatchError):
    """A file has the hash that the index promises, and is nothing that can be read."""


class RefusedAddressError(Exception):
    """The index leads to an address that the farm does not connect to.

    It is no OSError: requests and urllib3 would take it for a connection that failed, and try again.
    """


class MalformedAnswerError(Exception):
    """What the index or a package says is too large, too slow, or nothing that can be read."""


ANSWER_ERRORS = (
    NoIndexAnswerError,
    FileMismatchError,
    RefusedAddressError,
    MalformedAnswerError,
)
"""Everything that a question to the index may end with."""
