from setuptools import Extension, setup

setup(
    packages=["gravel"],
    package_dir={"": "src"},
    ext_modules=[Extension("gravel._core", ["src/gravel/_core.c"])],
)
