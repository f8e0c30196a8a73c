import shutil
import subprocess
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class SmallBuild(build_ext):
    """Leaves nothing in the module that is not needed to run it."""

    def run(self):
        super().run()
        for path in Path(self.build_lib).glob("*.so"):
            strip = shutil.which("strip")
            if strip:
                subprocess.run([strip, "--strip-all", str(path)], check=True)


setup(
    packages=[],
    cmdclass={"build_ext": SmallBuild},
    ext_modules=[
        Extension(
            "turnstile", ["turnstile.c"], extra_compile_args=["-g0"], extra_link_args=["-s", "-Wl,-S", "-Wl,--strip-all"]
        )
    ],
)
