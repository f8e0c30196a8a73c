from setuptools import Extension, setup

setup(
    packages=["cobble"],
    package_dir={"": "src"},
    ext_modules=[Extension("cobble._core", ["src/cobble/_core.c"])],
)
