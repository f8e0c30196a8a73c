"""What was measured of an application -> whether one interpreter or release is worse than another, or leaks. Pure.

The method, for readers: docs/measurements.md. Why it is this one: docs/decisions/0040-worse-only-when-clear.md.
"""
