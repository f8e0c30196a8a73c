from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("fieldcut", ["fieldcut.c"])])
