from setuptools import Extension, setup

setup(
    packages=["thicket"],
    package_dir={"": "src"},
    ext_modules=[Extension("thicket._core", ["src/thicket/_core.c"])],
)
