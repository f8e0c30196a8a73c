from setuptools import Extension, setup

setup(
    packages=["globset"],
    package_dir={"": "src"},
    ext_modules=[
        Extension("globset._match", ["src/globset/_match.cpp"], language="c++", extra_compile_args=["-std=c++17"])
    ],
)
