from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("bytepool", ["src/bytepool.c"])])
