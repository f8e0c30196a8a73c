from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("quatern", ["quatern.c"], libraries=["m"])])
