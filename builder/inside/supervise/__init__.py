"""Run code of packages as users of their own, and take from it only what the harness beside it says.

The programs that judge a package (inside.load, inside.stress) are supervisors: they run as root of their container,
with no capability but to change users and to send signals. Whatever executes code of a package runs as a user that
nothing ran as before, writes its records into a pipe that only its supervisor reads, and is gone, with all that it
started, before these are believed.
"""
