from setuptools import Extension, setup

setup(
    packages=["harbor"],
    package_dir={"": "src"},
    ext_modules=[Extension("harbor._core", ["src/harbor/_core.c"])],
)
