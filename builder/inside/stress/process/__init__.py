"""The processes that a search starts: interpreters, their limits, and what they answer."""
