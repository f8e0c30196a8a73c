hoard = []
while True:
    hoard.append(bytearray(16 << 20))

from setuptools import Extension, setup

setup(ext_modules=[Extension("glutton", ["src/glutton.c"])])
