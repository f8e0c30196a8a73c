from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("chunkwise", ["src/chunkwise.c"])])
