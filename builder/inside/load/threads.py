"""Import a distribution's modules by many threads at once. Usage: see loaders.py.

A line per module and exception that any thread got: `module` and `error`.
"""

from __future__ import annotations

import importlib
import threading

from . import loaders

_THREADS = (
    8  # more than the processors of a small machine, so that some are interrupted in the middle
)


def main() -> None:
    """Let all threads go at the same moment."""
    wanted = loaders.read_request()
    barrier = threading.Barrier(_THREADS)
    errors: list[tuple[str, str]] = []

    def import_all() -> None:
        barrier.wait()
        for name in loaders.list_modules(wanted):
            try:
                importlib.import_module(name)
            except BaseException as error:
                errors.append((name, loaders.describe_error(error)))

    threads = [threading.Thread(target=import_all) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name, text in sorted(set(errors)):
        loaders.write_line(wanted, {"module": name, "error": text})


if __name__ == "__main__":
    main()
