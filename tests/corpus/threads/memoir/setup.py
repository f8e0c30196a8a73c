from setuptools import Extension, setup

setup(
    packages=["memoir"],
    package_dir={"": "src"},
    ext_modules=[
        Extension("memoir._memo", ["src/memoir/_memo.cpp"], language="c++", extra_compile_args=["-std=c++17"])
    ],
)
