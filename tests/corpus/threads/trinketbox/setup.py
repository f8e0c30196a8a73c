from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("trinketbox", ["trinketbox.c"])])
