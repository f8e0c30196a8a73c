"""Watch the Python processes of an application's commands, and try the native calls they make by several threads.

`begin.py` is run by a `.pth` file of the application's environment, before anything of the application; the supervisor
that reads what is said here is inside.application.amplified.
"""
