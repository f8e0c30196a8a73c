from setuptools import Extension, setup

setup(
    packages=["sensorlog"],
    package_dir={"": "src"},
    ext_modules=[Extension("sensorlog._ring", ["src/sensorlog/_ring.c"])],
)
