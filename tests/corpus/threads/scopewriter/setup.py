from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("scopewriter", ["src/scopewriter.c"])])
