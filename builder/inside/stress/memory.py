"""A limit on memory that calls meet as `MemoryError`: what grows without end does not take the machine's.

Not for an interpreter with a sanitizer, which maps terabytes of addresses for itself.
"""

import resource

MOST_BYTES = 3 << 30


def hold() -> None:
    """Limit this process and those it starts."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
