from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("crcfold", ["src/crcfold.c"])])
