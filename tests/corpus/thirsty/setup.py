from setuptools import Extension, setup

setup(ext_modules=[Extension("thirsty", ["src/thirsty.c"])])
