from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("lazyslot", ["lazyslot.c"])])
