from setuptools import Extension, setup

setup(
    packages=["quarry"],
    package_dir={"": "src"},
    ext_modules=[Extension("quarry._core", ["src/quarry/_core.c"])],
)
