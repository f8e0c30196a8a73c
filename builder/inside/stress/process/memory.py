"""A limit on memory that calls meet as `MemoryError`: what grows without end does not take the machine's.

Not for an interpreter with a sanitizer, which maps terabytes of addresses for itself.
"""

import resource

LIMIT_BYTES = 3 << 30  # containers have 4 GiB or more: Python notices before the kernel kills


def limit_address_space() -> None:
    """Limit the address space of this process and of those it starts; beyond it, Python raises MemoryError."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
