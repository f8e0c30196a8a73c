from setuptools import Extension, setup

setup(
    packages=["teacup"],
    package_dir={"": "src"},
    ext_modules=[Extension("teacup._core", ["src/teacup/_core.c"])],
)
