from setuptools import Extension, setup

setup(
    packages=[],
    ext_modules=[Extension("vaultpair", ["vaultpair.c"], extra_compile_args=["-pthread"], extra_link_args=["-pthread"])],
)
