from setuptools import Extension, setup

setup(ext_modules=[Extension("pilgrim", ["src/pilgrim.c"])])
