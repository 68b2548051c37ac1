"""Training: the shipped weights from synthetic clips, or a C3D on a folder of videos.

``python -m c3d_viz.training --help`` lists the commands; docs/training.md explains them.
"""

from .commands import main
