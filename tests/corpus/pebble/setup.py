from setuptools import Extension, setup

setup(
    packages=["pebble"],
    package_dir={"": "src"},
    ext_modules=[Extension("pebble._core", ["src/pebble/_core.c"])],
)
