from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("signpost", ["signpost.c"])])
