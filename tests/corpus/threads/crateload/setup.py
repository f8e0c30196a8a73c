from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("crateload", ["crateload.c"])])
