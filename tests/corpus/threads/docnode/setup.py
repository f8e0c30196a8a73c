from setuptools import Extension, setup

setup(
    packages=["docnode"],
    package_dir={"": "src"},
    ext_modules=[Extension("docnode._node", ["src/docnode/_node.c"])],
)
