from setuptools import Extension, setup

setup(ext_modules=[Extension("latchkey", ["src/latchkey.c"])])
