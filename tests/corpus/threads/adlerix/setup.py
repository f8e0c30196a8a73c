from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("adlerix", ["adlerix.c"])])
