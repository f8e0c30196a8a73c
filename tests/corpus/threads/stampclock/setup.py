from setuptools import Extension, setup

setup(packages=[], ext_modules=[Extension("stampclock", ["stampclock.cpp"], language="c++")])
