from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("soundclip", ["src/soundclip.c"])])
