from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("inkpress", ["inkpress.c"])])
