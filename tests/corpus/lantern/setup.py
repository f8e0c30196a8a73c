from setuptools import Extension, setup

setup(
    packages=["lantern"],
    package_dir={"": "src"},
    ext_modules=[Extension("lantern._core", ["src/lantern/_core.c"])],
)
