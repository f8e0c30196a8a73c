from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    packages=["cygeodist"],
    ext_modules=cythonize([Extension("cygeodist._haversine", ["cygeodist/_haversine.pyx"], libraries=["m"])]),
)
