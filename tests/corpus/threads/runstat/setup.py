from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("runstat", ["runstat.c"], libraries=["m"])])
