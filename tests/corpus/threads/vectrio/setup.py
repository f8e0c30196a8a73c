from setuptools import Extension, setup

setup(
    packages=["vectrio"],
    package_dir={"": "src"},
    package_data={"vectrio": ["*.pyi"]},
    ext_modules=[Extension("vectrio._vec", ["src/vectrio/_vec.c"], libraries=["m"])],
)
