from setuptools import Extension, setup

setup(ext_modules=[Extension("soft", ["src/soft.c"], optional=True)])
