"""wheelfarm: native wheels for CPython 3.14 and 3.14t, each with a verdict anyone can replay."""

__version__ = "0.1.0"
