import os
import sys
from pathlib import Path

from setuptools import Extension, setup

seen = []
if Path("/host").exists():
    seen.append("the host's root")
if "NoNewPrivs:\t1" not in Path("/proc/self/status").read_text():
    seen.append("a way to gain privileges")
seen += [f"the variable {name}" for name in os.environ if "SECRET" in name]
if Path("/var/run/docker.sock").exists():
    seen.append("the engine's socket")
if seen:
    sys.exit("this build sees " + ", ".join(seen))

setup(ext_modules=[Extension("nosy", ["src/nosy.c"])])
