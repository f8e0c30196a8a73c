from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("linebuf", ["linebuf.c"])])
