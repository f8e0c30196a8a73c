from setuptools import Extension, setup

setup(
    packages=["willow"],
    package_dir={"": "src"},
    ext_modules=[Extension("willow." + part, [f"src/willow/{part}.c"]) for part in ("_bark", "_leaf")],
)
