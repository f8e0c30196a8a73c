from setuptools import Extension, setup

setup(ext_modules=[Extension("crooked", ["src/crooked.c"])])
