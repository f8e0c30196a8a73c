from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("tearoff", ["tearoff.c"], extra_link_args=["-Wl,--strip-all"])])
