from setuptools import Extension, setup

setup(
    packages=["tundra"],
    package_dir={"": "src"},
    ext_modules=[Extension("tundra._core", ["src/tundra/_core.c"])],
)
