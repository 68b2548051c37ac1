"""What pyproject.toml cannot say: app/ is installed as ``c3d_viz._app``.

Under its own name it would be the ``app`` of every environment it comes into.
"""

from setuptools import find_packages, setup

APP = ["c3d_viz._app", *(f"c3d_viz._app.{name}" for name in find_packages("app"))]

setup(
    packages=[*find_packages(include=["c3d_viz", "c3d_viz.*"]), *APP],
    package_dir={"c3d_viz._app": "app"},
)
