"""A module without any native code."""
