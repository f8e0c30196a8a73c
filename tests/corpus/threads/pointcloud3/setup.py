from setuptools import Extension, setup

setup(
    packages=["pointcloud3"],
    package_data={"pointcloud3": ["_cloud.pyi", "py.typed"]},
    ext_modules=[
        Extension("pointcloud3._cloud", ["pointcloud3/_cloud.cc"], language="c++", extra_compile_args=["-std=c++17"])
    ],
)
