from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("framefeed", ["framefeed.c"])])
