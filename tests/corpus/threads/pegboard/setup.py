from setuptools import Extension, setup

setup(
    packages=["pegboard"],
    ext_modules=[Extension("pegboard._holes", ["pegboard/_holes.c"])],
)
