"""Threads: the race detector, the exercise, the speed."""
