from setuptools import Extension, setup

setup(
    packages=["tapelog"],
    package_dir={"": "src"},
    ext_modules=[Extension("tapelog._tape", ["src/tapelog/_tape.c"])],
)
