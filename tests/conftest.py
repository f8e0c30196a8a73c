"""Settings of all tests."""

from hypothesis import settings

# Two builds beside the tests make any example slow: its time says something about the machine, not about the code.
settings.register_profile("wheelfarm", deadline=None)
settings.load_profile("wheelfarm")
