from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("linefmt", ["src/linefmt.c"])])
