"""What can go wrong between the farm and the index; each becomes a finding, or an answer of its own."""


class NoIndexAnswerError(Exception):
    """The index does not answer: the farm cannot tell what it has."""


class FileMismatchError(Exception):
    """A file is not what the index promises."""
