"""Import a distribution's modules by many threads at once. Usage: see loaders.py.

A line per module and exception that any thread got: `module` and `error`.
"""

from __future__ import annotations

import threading

from . import loaders

_THREADS = 8
"""More than the processors of a small machine, so that some are interrupted in the middle."""


def main() -> None:
    """Import every module in several threads that begin at the same moment, and write each different exception once."""
    request, witness = loaders.begin()
    barrier = threading.Barrier(_THREADS)
    errors: list[tuple[str, str]] = []

    def import_all() -> None:
        """Import every module in this thread; what fails is noted, and the next module follows."""
        barrier.wait()
        for name in loaders.list_modules(request):
            try:
                loaders.import_asked(request, name)
            except BaseException as error:
                errors.append((name, loaders.describe_error(error)))

    threads = [threading.Thread(target=import_all) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name, description in sorted(set(errors)):
        witness.write({"module": name, "error": description})
    witness.close()


if __name__ == "__main__":
    main()
