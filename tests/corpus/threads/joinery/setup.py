from setuptools import Extension, setup

setup(
    packages=["joinery"],
    package_data={"joinery": ["*.pyi", "py.typed"]},
    ext_modules=[Extension("joinery._native", sources=["joinery/_native.c"])],
)
