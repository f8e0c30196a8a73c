from setuptools import Extension, setup

setup(
    packages=["bundle"],
    package_dir={"": "src"},
    ext_modules=[Extension("bundle." + name, [f"src/bundle/{name}.c"]) for name in ("_swift", "_late")],
)
