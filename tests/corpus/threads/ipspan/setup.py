from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("ipspan", ["src/ipspan.c"])])
