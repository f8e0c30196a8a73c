from setuptools import Extension, setup

setup(
    packages=["saffron"],
    package_dir={"": "src"},
    ext_modules=[Extension("saffron._core", ["src/saffron/_core.c"])],
)
