from setuptools import Extension, setup

setup(
    packages=["paletta"],
    package_dir={"": "src"},
    ext_modules=[
        Extension("paletta._colour", ["src/paletta/_colour.c"]),
        Extension("paletta._swatch", ["src/paletta/_swatch.c"]),
    ],
)
