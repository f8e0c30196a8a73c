import steady
from setuptools import Extension, setup

setup(ext_modules=[Extension("hammer", ["src/hammer.c"], define_macros=[("BLOWS", str(steady.twice(21)))])])
