from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("aliasbook", ["src/aliasbook.c"])])
