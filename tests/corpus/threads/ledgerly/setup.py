from setuptools import Extension, setup

setup(
    packages=[],
    ext_modules=[Extension("ledgerly", ["src/ledgerly.c"], extra_compile_args=["-pthread"], extra_link_args=["-pthread"])],
)
