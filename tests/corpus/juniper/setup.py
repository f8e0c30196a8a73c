from setuptools import Extension, setup

setup(
    packages=["juniper"],
    package_dir={"": "src"},
    ext_modules=[Extension("juniper._core", ["src/juniper/_core.c"])],
)
