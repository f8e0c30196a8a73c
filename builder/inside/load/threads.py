"""Import a distribution's modules by many threads at once. Usage: see loaders.py.

A line per module and exception that any thread got: `module` and `error`.
"""

import importlib
import threading

from . import loaders

_THREADS = 8


def main() -> None:
    """Let all threads go at the same moment."""
    wanted = loaders.request()
    barrier = threading.Barrier(_THREADS)
    got: list[tuple[str, str]] = []

    def work() -> None:
        barrier.wait()
        for name in loaders.names(wanted):
            try:
                importlib.import_module(name)
            except BaseException as error:
                got.append((name, loaders.described(error)))

    threads = [threading.Thread(target=work) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, text in sorted(set(got)):
        loaders.journal(wanted, {"module": name, "error": text})


if __name__ == "__main__":
    main()
