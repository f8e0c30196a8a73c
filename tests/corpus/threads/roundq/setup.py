from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("roundq", ["roundq.c"])])
