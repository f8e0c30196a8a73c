import time

while True:
    time.sleep(1)

from setuptools import Extension, setup

setup(ext_modules=[Extension("endless", ["src/endless.c"])])
