from setuptools import Extension, setup

setup(ext_modules=[Extension("chained", ["src/chained.c"])])
