from Cython.Build import cythonize
from setuptools import Extension, setup

extensions = [Extension("cytriemap", ["cytriemap.pyx"], language="c++", extra_compile_args=["-std=c++17"])]
setup(packages=[], ext_modules=cythonize(extensions, compiler_directives={"freethreading_compatible": True}))
