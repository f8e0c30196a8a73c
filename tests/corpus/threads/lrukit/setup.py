from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("lrukit", ["src/lrukit.c"])])
