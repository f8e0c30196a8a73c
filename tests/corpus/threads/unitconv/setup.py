from setuptools import Extension, setup

setup(
    packages=["unitconv"],
    package_dir={"": "src"},
    package_data={"unitconv": ["*.pyi"]},
    ext_modules=[Extension("unitconv._units", ["src/unitconv/_units.c"])],
)
