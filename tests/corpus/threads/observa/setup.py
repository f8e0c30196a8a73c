from setuptools import Extension, setup

setup(
    packages=[],
    ext_modules=[Extension("observa", ["src/observa.cpp"], language="c++", extra_compile_args=["-std=c++17"])],
)
