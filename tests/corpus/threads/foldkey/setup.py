from setuptools import Extension, setup

setup(
    packages=["foldkey"],
    package_dir={"": "src"},
    ext_modules=[Extension("foldkey._fold", ["src/foldkey/_fold.c"])],
)
