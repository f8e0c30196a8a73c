from setuptools import Extension, setup

setup(
    packages=["settingsbox"],
    package_dir={"": "src"},
    ext_modules=[Extension("settingsbox._settings", ["src/_settings.c"])],
)
