from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("hitmeter", ["hitmeter.c"], extra_compile_args=["-std=c11"])])
