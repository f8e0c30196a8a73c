from setuptools import Extension, setup

setup(
    packages=["tintboard"],
    ext_modules=[Extension("tintboard._raster", ["tintboard/_raster.c"])],
)
