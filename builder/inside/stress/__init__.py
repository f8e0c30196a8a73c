"""Programs that put a package under threads, and measure it.

They run in containers, by `python -m inside.stress.race` and the like.
"""
