"""Building wheels of one sdist on one base."""
