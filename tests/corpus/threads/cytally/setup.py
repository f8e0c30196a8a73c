from Cython.Build import cythonize
from setuptools import Extension, setup

setup(packages=[], ext_modules=cythonize([Extension("cytally", ["cytally.pyx"])]))
