from setuptools import Extension, setup

setup(
    packages=["meadow"],
    package_dir={"": "src"},
    ext_modules=[Extension("meadow._core", ["src/meadow/_core.c"])],
)
