from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("spanbuf", ["src/spanbuf.c"])])
