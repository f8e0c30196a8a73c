"""Import a distribution's modules in a subinterpreter with a GIL of its own (PEP 684, PEP 734), then in a second one.

Usage: see loaders.py. A line per round and module: `round`, `module`, and where it failed `error` and `failed`, the
extension module whose loading raised, if it was one.
"""

import importlib
import json
import sys
from concurrent import interpreters  # type: ignore[attr-defined] # new in Python 3.14
from pathlib import Path

from . import loaders

_ROUNDS = 2


def main() -> None:
    """Make interpreters one after the other, so that the second meets what the first left behind."""
    wanted = json.loads(sys.argv[1])
    for number in range(1, _ROUNDS + 1):
        interpreter = interpreters.create()
        text = json.dumps({**wanted, "round": number})
        folder = str(Path(__file__).parents[2])
        interpreter.exec(
            f"import sys; sys.path.insert(0, {folder!r})\n"
            f"from inside.load.subinterpreter import visit; visit({text!r})"
        )
        loaders.journal(wanted, {"begin": f"the end of interpreter {number}"})
        interpreter.close()


def visit(text: str) -> None:
    """Import everything in this interpreter."""
    wanted = json.loads(text)
    sys.path[0] = wanted["site"]
    watch = loaders.Watch()
    for name in loaders.names(wanted):
        watch.failed = None
        line = {"round": wanted["round"], "module": name}
        loaders.journal(wanted, {"begin": name})
        try:
            importlib.import_module(name)
        except BaseException as error:
            line |= {"error": loaders.described(error), "failed": watch.failed}
        loaders.journal(wanted, line)


if __name__ == "__main__":
    main()
