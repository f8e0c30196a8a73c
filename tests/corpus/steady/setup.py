from setuptools import Extension, setup

setup(ext_modules=[Extension("steady", ["src/steady.c"])])
